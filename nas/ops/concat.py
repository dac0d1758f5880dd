"""Concatenation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from nas.ops import Call, Example, Op

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class ConcatOp(Op):
    """``torch.cat`` along one axis."""

    targets = (torch.cat, torch.concat)

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """A Concat."""
        return graph.node("Concat", inputs, axis=_axis(call))

    def attributes(self, call: Call) -> dict[str, Any]:
        """The axis."""
        return {"axis": _axis(call)}

    def examples(self) -> Sequence[Example]:
        """Along channels and along height."""
        return [Example("channels", _Concat(1), (2, 3, 4, 4)), Example("height", _Concat(2), (2, 3, 4, 4))]


class _Concat(nn.Module):
    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, torch.relu(x)], dim=self.axis)


def _axis(call: Call) -> int:
    arguments = dict(zip(("tensors", "dim"), call.node.args, strict=False)) | dict(call.node.kwargs)
    return int(arguments.get("dim", 0))  # type: ignore[call-overload, no-any-return]
