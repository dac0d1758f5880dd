"""Means, sums, maxima and norms over dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from nas.ops import Call, Channels, Example, Integer, Op, Shape

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph

#: ONNX name → the functions and methods that compute it.
TARGETS: dict[str, tuple[Any, ...]] = {
    "ReduceMean": (torch.mean, "mean"),
    "ReduceSum": (torch.sum, "sum"),
    "ReduceMax": (torch.amax, "amax"),
    "ReduceL2": ("norm",),
}
KIND = {target: kind for kind, targets in TARGETS.items() for target in targets}


class ReduceOp(Op):
    """Mean, sum, maximum and Euclidean norm over named dimensions."""

    targets = tuple(KIND)

    def shape(self, call: Call) -> Shape | None:
        """See ``Op.shape``."""
        if not self.covers(call):
            return None
        axes, shape = _axes(call), call.input_shapes[0]
        if call.argument(_position(call) + 1, "keepdim", False):
            return tuple(1 if axis in axes else size for axis, size in enumerate(shape))
        return tuple(size for axis, size in enumerate(shape) if axis not in axes)

    def covers(self, call: Call) -> bool:
        """Named dimensions, the input's element type, and the Euclidean norm only."""
        other = call.argument(_position(call) + 2, "dtype") is not None
        euclidean = KIND[call.node.target] != "ReduceL2" or call.argument(1, "p", "fro") in ("fro", 2, 2.0)
        return bool(_axes(call)) and euclidean and not other

    def transparent(self, call: Call) -> bool:
        """Reducing dimensions of size one that are kept."""
        return KIND[call.node.target] != "ReduceL2" and call.output_shape == call.input_shapes[0]

    def integer(self, call: Call) -> Integer:
        """``own`` for reductions that are emitted as pooling, which has integer kernels."""
        if not self._pools(call):
            return "float"
        return "same" if KIND[call.node.target] == "ReduceMax" else "own"

    def channels(self, call: Call) -> Channels:
        """``same`` for reductions over the pixels of a map."""
        return "same" if min(_axes(call)) > 1 else "fixed"

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """A pooling for the mean or maximum over the pixels of a map, otherwise the reduction of that name."""
        before, kind = call.input_shapes[0], KIND[call.node.target]
        if not self._pools(call):
            axes = graph.constant(np.array(_axes(call), dtype=np.int64))
            return graph.node(kind, [inputs[0], axes], keepdims=int(len(before) == len(call.output_shape)))
        if kind == "ReduceMax":
            # Not GlobalMaxPool: it has no 8-bit form.
            value = graph.node("MaxPool", inputs[:1], kernel_shape=list(before[2:]), strides=list(before[2:]))
        else:
            value = graph.node("GlobalAveragePool", inputs[:1])
        return value if len(call.output_shape) == 4 else graph.reshape(value, (0, -1))

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``."""
        return {"kind": KIND[call.node.target], "axes": _axes(call)}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        functions: dict[str, Callable[[Tensor], Tensor]] = {
            "pixels": lambda value: value.mean((2, 3)),
            "pixels_kept": lambda value: torch.mean(value, dim=[-2, -1], keepdim=True),
            "largest_pixel": lambda value: value.amax((-1, -2)),
            "channels": lambda value: value.mean(1, keepdim=True),
            "rows": lambda value: value.mean(dim=2),
            "sum": lambda value: value.sum(-1) + torch.sum(value, (3,)),
            "largest_channel": lambda value: torch.amax(value, 1, True),
            "norm": lambda value: value.norm(p=2, dim=(1, 2), keepdim=True),
            "norm_by_default": lambda value: value.norm(dim=-1),
        }
        return [Example(name, _Function(function), (2, 3, 4, 6)) for name, function in functions.items()]

    @staticmethod
    def _pools(call: Call) -> bool:
        kind = KIND[call.node.target]
        return len(call.input_shapes[0]) == 4 and _axes(call) == [2, 3] and kind in ("ReduceMean", "ReduceMax")


class _Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        return self.function(inputs)


def _position(call: Call) -> int:
    """The position of the dimensions among the arguments."""
    return 2 if call.node.target == "norm" else 1


def _axes(call: Call) -> list[int]:
    dims = call.argument(_position(call), "dim")
    dims = (dims,) if isinstance(dims, int) else dims or ()
    return sorted({dim % len(call.input_shapes[0]) for dim in dims})
