"""Fully connected layer."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, cast

from torch import nn

from nas.ops import Call, Example, Op

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class LinearOp(Op):
    """``nn.Linear`` on ``(…, in_features)``."""

    targets = (nn.Linear,)

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """A Gemm on two axes, MatMul and Add on more."""
        if len(call.output_shape) == 2:
            return graph.node("Gemm", graph.weights(call, inputs[0]), transB=1)
        data, weight, *bias = graph.weights(call, inputs[0])
        product = graph.node("MatMul", [data, graph.node("Transpose", [weight], perm=[1, 0])])
        return graph.node("Add", [product, *bias]) if bias else product

    def macs(self, call: Call) -> int:
        """Outputs × inputs."""
        return prod(call.output_shape) * cast("nn.Linear", call.module).in_features

    def attributes(self, call: Call) -> dict[str, Any]:
        """Whether there is a bias; the sizes are in the shapes."""
        return {"bias": cast("nn.Linear", call.module).bias is not None}

    def examples(self) -> Sequence[Example]:
        """With and without bias, on two and three axes."""
        return [
            Example("bias", nn.Linear(6, 5), (3, 6)),
            Example("without_bias", nn.Linear(6, 5, bias=False), (3, 6)),
            Example("tokens", nn.Linear(6, 5), (2, 4, 6)),
            Example("tokens_without_bias", nn.Linear(6, 5, bias=False), (2, 4, 6)),
        ]
