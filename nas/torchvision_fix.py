"""Lets timm and torchvision import beside a CPU-only torch; imported for its effect, before either of them.

The registry's torchvision is built for CUDA: its compiled library does not load beside a CPU build of torch, and
importing it then fails for want of two operators' schemas. Declaring those makes everything but the operators
themselves work (images are decoded by Pillow).
"""

from __future__ import annotations

import importlib.util
import warnings
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import torch

_OPERATORS = ("nms", "qnms")
_library: torch.library.Library | None = None


def _loads() -> bool:
    """Whether torchvision's own compiled library is there and fits this torch."""
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


if not _loads():
    _library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for _operator in _OPERATORS:
        _library.define(  # type: ignore[no-untyped-call]
            f"{_operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )
    warnings.filterwarnings("ignore", "Failed to load image Python extension", UserWarning)
