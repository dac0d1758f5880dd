"""Flattening."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from nas.ops import Call, Example, Op

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class FlattenOp(Op):
    """``nn.Flatten``, ``torch.flatten``, ``Tensor.flatten``."""

    targets = (nn.Flatten, torch.flatten, "flatten")

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """A Reshape that leaves the batch open."""
        return graph.node("Reshape", [inputs[0], graph.integers([-1, *call.output_shape[1:]])])

    def attributes(self, call: Call) -> dict[str, Any]:
        """Nothing: the shapes say it all."""
        return {}

    def examples(self) -> Sequence[Example]:
        """As module, function and method, of all and of some axes."""
        return [
            Example("module", nn.Flatten(), (2, 3, 4, 5)),
            Example("some_axes", nn.Flatten(2), (2, 3, 4, 5)),
            Example("function", _Flatten(), (2, 3, 4, 5)),
        ]


class _Flatten(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.flatten(x, 1) + x.flatten(1)
