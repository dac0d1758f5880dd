"""Refuses networks whose output for the same input varies, because no file can do the same."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nas.errors import ExportError

#: Two runs may differ by this share of the largest output, because torch adds in another order while it is observed.
SAME = 1e-4
#: Number of further runs of a network that draws random numbers.
NUM_REPEATS = 10
_TORCH = str(Path(torch.__file__).parent)
_HERE = __file__


def check_repeatable(answer: Callable[[], Tensor], expected: Tensor) -> None:
    """Run the network once more and compare the outputs; if it draws random numbers, run it several times more.

    Args:
        answer: runs the network in eval mode.
        expected: finite outputs of an earlier run.

    Raises:
        ExportError: the outputs differ; the message names the random operators and the lines that call them.
    """
    with _RandomCalls() as calls:
        is_same = _is_same(answer(), expected)
    # Random numbers, such as a branch that is dropped now and then, may not change the output in every run.
    if is_same and (not calls.found or all(_is_same(answer(), expected) for _ in range(NUM_REPEATS))):
        return
    if calls.found:
        raise ExportError(
            f"the network is random in eval mode: {'; '.join(calls.found)}. A deployed file answers the same input the "
            "same way: pass training=self.training (F.dropout), use a module that eval() switches off (nn.Dropout), or "
            "draw random numbers in training only"
        )
    raise ExportError(
        "the network in eval mode answers the same input differently the second time: its forward changes its own "
        "state or uses random numbers from outside torch. A deployed file does neither: do both in training only"
    )


def _is_same(again: Tensor, expected: Tensor) -> bool:
    return again.shape == expected.shape and bool((again - expected).abs().max() <= SAME * expected.abs().max())


class _RandomCalls(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records every operator that draws random numbers."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if torch.Tag.nondeterministic_seeded in func.tags:
            found = f"{_plain_name(func)} in {_caller()}"
            if found not in self.found:
                self.found.append(found)
        return func(*args, **(kwargs or {}))


def _plain_name(func: Any) -> str:
    return str(func.overloadpacket.__name__)


def _caller() -> str:
    """The line of the user's code that is being executed."""
    frames = [
        frame
        for frame in traceback.extract_stack()
        if not frame.filename.startswith(_TORCH) and frame.filename != _HERE and not frame.filename.startswith("<")
    ]
    frame = frames[-1]
    return f"{frame.name}, {Path(frame.filename).name} line {frame.lineno} ({frame.line})"
