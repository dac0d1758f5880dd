"""Imports timm and torchvision so that they work with a CPU-only torch, in half of the time.

This module is imported for its effect, before either of them. The published torchvision is built for CUDA: its
compiled library does not load with a CPU build of torch, and importing it then fails because the schemas of two
operators are missing. Declaring these schemas makes everything work except the two operators; Pillow decodes images.

Both libraries import torch's compiler, to exclude functions of theirs from it, and distributed tensors, which no
network here uses. These imports take half of the time and a quarter of the memory of a command; with this module, the
compiler is imported when it is first used.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

_OPERATORS = ("nms", "qnms")
_library: torch.library.Library | None = None


def _loads() -> bool:
    """Whether torchvision's compiled library exists and loads with this torch."""
    spec = importlib.util.find_spec("torchvision")
    folder = Path(spec.origin).parent if spec is not None and spec.origin else None
    names = [f"_C{suffix}" for suffix in EXTENSION_SUFFIXES]
    found = [folder / name for name in names if (folder / name).exists()] if folder else []
    try:
        for path in found:
            torch.ops.load_library(str(path))  # type: ignore[no-untyped-call]
    except OSError:
        return False
    return bool(found) and hasattr(torch.ops.torchvision, "nms")


def _when_called(module: str, name: str) -> Callable[..., Any]:
    """A function of a module, which is imported at the first call."""

    def call(*arguments: Any, **settings: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*arguments, **settings)

    return call


def _disable(function: Any, *arguments: Any, **settings: Any) -> Any:
    """Replacement of ``torch._dynamo.disable`` that disables ``function`` at its first call."""
    disabled: list[Any] = []

    @functools.wraps(function)
    def call(*inputs: Any, **named: Any) -> Any:
        if not disabled:
            disabled.append(importlib.import_module("torch._dynamo").disable(function, *arguments, **settings))
        return disabled[0](*inputs, **named)

    return call


@contextmanager
def _spared() -> Iterator[None]:
    """Put a stand-in for the compiler, and no distributed tensors, into ``sys.modules``, unless already imported."""
    compiler: Any = ModuleType("torch._dynamo")
    utils: Any = ModuleType("torch._dynamo.utils")
    compiler.disable, compiler.utils = _disable, utils
    utils.is_compile_supported = _when_called(utils.__name__, "is_compile_supported")
    wanted: dict[str, Any] = {compiler.__name__: compiler, utils.__name__: utils, "torch.distributed.tensor": None}
    absent = {name: module for name, module in wanted.items() if name not in sys.modules}
    sys.modules.update(absent)
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


if not _loads():
    _library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for _operator in _OPERATORS:
        _library.define(  # type: ignore[no-untyped-call]
            f"{_operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )
    warnings.filterwarnings("ignore", "Failed to load image Python extension", UserWarning)

with _spared():
    importlib.import_module("timm.data")
    importlib.import_module("timm.optim")
