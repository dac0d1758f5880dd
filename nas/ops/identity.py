"""Modules that compute nothing when deployed: identity and dropout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

from nas.ops import Call, Example, Op

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class IdentityOp(Op):
    """``nn.Identity`` and dropout: the input, as it is."""

    targets = (nn.Identity, nn.Dropout, nn.Dropout2d)

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """No node at all."""
        return inputs[0]

    def attributes(self, call: Call) -> dict[str, Any]:
        """Dropout changes training: its kind and probability, where that is not zero."""
        probability = getattr(call.module, "p", 0.0)
        return {"kind": type(call.module).__name__, "p": probability} if probability else {}

    def examples(self) -> Sequence[Example]:
        """Around something that computes."""
        inner = [nn.Identity(), nn.ReLU(), nn.Dropout(0.3), nn.Dropout2d(0.3)]
        return [Example("sequence", nn.Sequential(*inner), (2, 3, 4, 4))]
