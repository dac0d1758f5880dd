"""Reordering of dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from nas.ops import Call, Example, Integer, Op, Shape

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph

_PERMUTE = (torch.permute, "permute")
_TRANSPOSE = (torch.transpose, torch.swapaxes, "transpose", "swapaxes")


class TransposeOp(Op):
    """``permute`` and ``transpose``."""

    targets = _PERMUTE + _TRANSPOSE

    def shape(self, call: Call) -> Shape | None:
        """See ``Op.shape``."""
        order = _order(call)
        if sorted(order) != list(range(len(call.input_shapes[0]))):
            return None
        return tuple(call.input_shapes[0][axis] for axis in order)

    def transparent(self, call: Call) -> bool:
        """The order that the dimensions have already."""
        return _order(call) == list(range(len(call.output_shape)))

    def integer(self, call: Call) -> Integer:
        """See ``Op.integer``."""
        return "same"

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """One ``Transpose``."""
        return graph.node("Transpose", inputs[:1], perm=_order(call))

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``."""
        return {"order": _order(call)}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        functions: dict[str, Callable[[Tensor], Tensor]] = {
            "permute": lambda value: value.permute(0, 2, 3, 1),
            "permute_list": lambda value: value.permute([0, 3, 1, 2]),
            "permute_function": lambda value: torch.permute(value, (0, 3, -2, 1)),
            "transpose": lambda value: value.transpose(1, 2),
            "transpose_function": lambda value: torch.transpose(value, -2, -1),
        }
        return [Example(name, _Function(function), (2, 3, 4, 5)) for name, function in functions.items()]


class _Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        return self.function(inputs)


def _order(call: Call) -> list[int]:
    """For each dimension of the output, its position in the input."""
    count = len(call.input_shapes[0])
    if call.node.target in _PERMUTE:
        dims = call.argument(1, "dims")
        dims = call.args[1:] if isinstance(dims, int) else dims
        return [int(dim) % count for dim in dims]
    order = list(range(count))
    first = int(call.argument(1, "dim0", call.kwargs.get("axis0"))) % count
    second = int(call.argument(2, "dim1", call.kwargs.get("axis1"))) % count
    order[first], order[second] = order[second], order[first]
    return order
