"""Sums, differences, products and quotients of tensors and numbers."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from nas.ops import Call, Channels, Example, Input, Integer, Op, Shape

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph

#: ONNX name → the functions and methods that compute it.
TARGETS: dict[str, tuple[Any, ...]] = {
    "Add": (operator.add, operator.iadd, torch.add, "add", "add_"),
    "Mul": (operator.mul, operator.imul, torch.mul, torch.multiply, "mul", "mul_"),
    "Sub": (operator.sub, operator.isub, torch.sub, torch.subtract, "sub", "sub_"),
    "Div": (operator.truediv, operator.itruediv, torch.div, torch.true_divide, "div", "div_"),
}
KIND = {target: kind for kind, targets in TARGETS.items() for target in targets}


class ElementwiseOp(Op):
    """Arithmetic of two operands, tensors or numbers, broadcast as torch does."""

    targets = tuple(KIND)

    def shape(self, call: Call) -> Shape | None:
        """See ``Op.shape``."""
        first, *others = call.input_shapes
        if all(other == first for other in others):
            return first
        return np.broadcast_shapes(*call.input_shapes)

    def covers(self, call: Call) -> bool:
        """Calls with two operands and without rounding."""
        return call.kwargs.get("rounding_mode") is None and len(self._operands(call)) == 2

    def transparent(self, call: Call) -> bool:
        """Adding or subtracting zero, multiplying or dividing by one."""
        kind, operands = KIND[call.node.target], self._operands(call)
        if len(operands) != 2 or call.output_shape != call.input_shapes[0]:
            return False
        neutral = 0 if kind in ("Add", "Sub") else 1
        return isinstance(operands[0], Input) and not isinstance(operands[1], Input) and operands[1] == neutral

    def commutes(self, call: Call) -> bool:
        """Sums and products of two tensors."""
        plain = all(isinstance(operand, Input) for operand in self._operands(call)) and _alpha(call) == 1
        return KIND[call.node.target] in ("Add", "Mul") and plain

    def channels(self, call: Call) -> Channels:
        """See ``Op.channels``."""
        return "same"

    def integer(self, call: Call) -> Integer:
        """Sums and products of two tensors have integer kernels."""
        return "own" if self.commutes(call) and len(call.input_shapes) == 2 else "float"

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """One node, and a ``Mul`` for a factor ``alpha``."""
        values = [
            inputs[operand.index] if isinstance(operand, Input) else graph.constant(np.float32(operand))
            for operand in self._operands(call)
        ]
        if _alpha(call) != 1:
            values[1] = graph.node("Mul", [values[1], graph.constant(np.float32(_alpha(call)))])
        return graph.node(KIND[call.node.target], values)

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``; tensors appear as their index (``"#0"``)."""
        operands = self._operands(call)
        names = [f"#{item.index}" if isinstance(item, Input) else float(item) for item in operands]
        kind = KIND[call.node.target]
        if KIND[call.node.target] in ("Add", "Mul") and _alpha(call) == 1:
            names = sorted(names, key=str)
        return {"kind": kind, "operands": names, "alpha": _alpha(call)}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        pairs: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
            "add": lambda a, b: a + b,
            "add_alpha": lambda a, b: torch.add(a, b, alpha=0.3),
            "mul": lambda a, b: torch.mul(a, b),
            "mul_broadcast": lambda a, b: a * b.mean((2, 3), keepdim=True),
            "sub": lambda a, b: torch.sub(a, b),
            "sub_reversed": lambda a, b: b - a,
            "div": lambda a, b: a / (b * b + 1.0),
        }
        singles: dict[str, Callable[[Tensor], Tensor]] = {
            "add_number": lambda a: a.add(1.5),
            "mul_number": lambda a: 0.5 * a,
            "sub_from_number": lambda a: 1.0 - a,
            "twice_the_same": lambda a: a + a,
            "in_place": lambda a: (a * 2.0).add_(a),
        }
        models: dict[str, nn.Module] = {name: _Pair(function) for name, function in pairs.items()}
        models |= {name: _Single(function) for name, function in singles.items()}
        return [Example(name, model, (2, 3, 4, 5)) for name, model in models.items()]

    @staticmethod
    def _operands(call: Call) -> list[Any]:
        return [*call.args, *(call.kwargs[key] for key in ("input", "other") if key in call.kwargs)]


class _Pair(nn.Module):
    """A function of the input and of a map computed from it."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.other = nn.Conv2d(3, 3, 1)
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        return self.function(inputs, self.other(inputs))


class _Single(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        return self.function(inputs)


def _alpha(call: Call) -> float:
    return float(call.kwargs.get("alpha", 1))
