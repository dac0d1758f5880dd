"""Concatenation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from nas.ops import Call, Example, Integer, Op, Shape

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class ConcatOp(Op):
    """``torch.cat`` of a list of tensors."""

    targets = (torch.cat, torch.concat, torch.concatenate)

    def shape(self, call: Call) -> Shape | None:
        """See ``Op.shape``."""
        if not self.covers(call):
            return None
        shapes = call.input_shapes
        axis = int(call.argument(1, "dim", 0)) % len(shapes[0])
        rest = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
        if len(rest) > 1:
            return None
        return (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])

    def covers(self, call: Call) -> bool:
        """Tensors given as a list or tuple, not computed by the graph."""
        tensors = call.argument(0, "tensors", ())
        return isinstance(tensors, list | tuple) and len(tensors) == len(call.input_shapes)

    def transparent(self, call: Call) -> bool:
        """A list with one tensor."""
        return len(call.input_shapes) == 1

    def integer(self, call: Call) -> Integer:
        """See ``Op.integer``."""
        return "own"

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """One ``Concat``."""
        return graph.node("Concat", list(inputs), axis=self._axis(call))

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``."""
        return {"axis": self._axis(call)}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        return [
            Example("channels", _Branches(1), (2, 3, 4, 5)),
            Example("width", _Branches(-1), (2, 3, 4, 5)),
        ]

    @staticmethod
    def _axis(call: Call) -> int:
        return int(call.argument(1, "dim", 0)) % len(call.output_shape)


class _Branches(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.left = nn.Conv2d(3, 3, 1)
        self.right = nn.Conv2d(3, 3, 3, padding=1)
        self.dim = dim

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.cat([self.left(inputs), inputs, self.right(inputs)], dim=self.dim)
