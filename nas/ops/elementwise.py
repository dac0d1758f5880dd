"""Sums, differences and products of tensors of equal or broadcast shape."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from nas.errors import ExportError
from nas.ops import Call, Example, Op

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph

_NAMES: dict[Any, str] = {
    operator.add: "Add",
    operator.iadd: "Add",
    torch.add: "Add",
    "add": "Add",
    operator.sub: "Sub",
    torch.sub: "Sub",
    operator.mul: "Mul",
    operator.imul: "Mul",
    torch.mul: "Mul",
    "mul": "Mul",
    operator.truediv: "Div",
}


class ElementwiseOp(Op):
    """``+ - * /`` of tensors, or of a tensor and a number."""

    targets = tuple(_NAMES)

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """One binary node; numbers become constants."""
        if call.node.kwargs:
            raise ExportError(f"{call.node.target} with {dict(call.node.kwargs)} has no emitter")
        names = iter(inputs)
        operands = [next(names) if isinstance(arg, fx.Node) else graph.scalar(float(arg)) for arg in call.node.args]  # type: ignore[arg-type]
        return graph.node(_NAMES[call.node.target], operands)

    def attributes(self, call: Call) -> dict[str, Any]:
        """Which operation, and its numbers."""
        operands = [None if isinstance(arg, fx.Node) else arg for arg in call.node.args]
        return {"function": _NAMES[call.node.target], "operands": operands}

    def examples(self) -> Sequence[Example]:
        """All four, with tensors and with numbers."""
        return [Example("arithmetic", _Arithmetic(), (2, 3, 4))]


class _Arithmetic(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.add(x * 2.0, x) - x * x / 3.0 + (1.0 - x)
