"""Products of two matrices that both depend on the input, with batch dimensions that are broadcast."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from nas.ops import Call, Example, Input, Op, Shape

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class MatMulOp(Op):
    """``a @ b``, ``torch.matmul`` and ``torch.bmm`` of tensors of two or more dimensions."""

    targets = (operator.matmul, torch.matmul, torch.bmm, "matmul", "bmm")

    def shape(self, call: Call) -> Shape | None:
        """See ``Op.shape``."""
        left, right = (call.input_shapes[index] for index in _operands(call))
        if min(len(left), len(right)) < 2 or left[-1] != right[-2] or left[:-2] != right[:-2]:
            return None
        return (*left[:-1], right[-1])

    def covers(self, call: Call) -> bool:
        """Matrices only: ``macs`` does not count products with vectors."""
        return all(len(call.input_shapes[index]) >= 2 for index in _operands(call))

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """One ``MatMul``."""
        return graph.node("MatMul", [inputs[index] for index in _operands(call)])

    def macs(self, call: Call) -> int:
        """Output elements times the length of a row of the first factor."""
        return math.prod(call.output_shape) * call.input_shapes[_operands(call)[0]][-1]

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``: which input is left, which right."""
        return {"operands": _operands(call)}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        pairs: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
            "operator": lambda a, b: a @ b.transpose(-2, -1),
            "function": lambda a, b: torch.matmul(a.transpose(2, 3), b),
            "method": lambda a, b: b.matmul(a.transpose(2, 3)),
            "batches": lambda a, b: torch.bmm(a.flatten(0, 1), b.transpose(2, 3).flatten(0, 1)).view(-1, 3, 4, 4),
            "broadcast": lambda a, b: a.transpose(2, 3) @ b[:, :1],
            "with_itself": lambda a, b: a.transpose(2, 3) @ a + b.mean((2, 3), keepdim=True),
        }
        return [Example(name, _Pair(function), (2, 3, 4, 5)) for name, function in pairs.items()]


class _Pair(nn.Module):
    """A function of the input and of a map computed from it."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.other = nn.Conv2d(3, 3, 1)
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        return self.function(inputs, self.other(inputs))


def _operands(call: Call) -> list[int]:
    """Positions of the two factors among the inputs; equal for the product of a matrix with itself."""
    operands = [*call.args, *(call.kwargs[key] for key in ("input", "mat2", "other") if key in call.kwargs)]
    return [operand.index for operand in operands if isinstance(operand, Input)]
