"""Splitting a tensor into several along a dimension."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from nas.ops import Call, Example, Op

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph

_CHUNK = (torch.chunk, "chunk")
_SPLIT = (torch.split, "split")
_UNBIND = (torch.unbind, "unbind")


class SplitOp(Op):
    """``chunk``, ``split`` and ``unbind``."""

    targets = _CHUNK + _SPLIT + _UNBIND

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """One ``Split``; the parts of ``unbind`` are reshaped, because they lose the dimension."""
        sizes, axis = _sizes(call), _axis(call)
        parts = graph.split(inputs[0], sizes, axis)
        if call.node.target in _UNBIND:
            shape = call.input_shapes[0]
            parts = [graph.reshape(part, (*shape[:axis], *shape[axis + 1 :])) for part in parts]
        return graph.pack(parts)

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``."""
        return {"axis": _axis(call), "sizes": _sizes(call), "unbound": call.node.target in _UNBIND}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        # torch.split has no type annotations.
        functions: dict[str, Callable[[Any], Any]] = {
            "split_function": lambda value: torch.split(value, 5, 2)[1],
            "chunk": lambda value: value.chunk(2, dim=-1)[1],
            "chunk_rest": lambda value: torch.chunk(value, 3, -1)[2] * 2.0,
            "split": lambda value: value.split(3, 1)[0] - value.split(3, 1)[1].mean((2, 3), keepdim=True),
            "split_sizes": lambda value: value.split([1, 2, 1], dim=-3)[1],
            "unbind": lambda value: value.unbind(1)[2],
            "unbind_function": lambda value: torch.unbind(value, 2)[0],
        }
        return [Example(name, _Function(function), (2, 4, 6, 5)) for name, function in functions.items()]


class _Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        return self.function(inputs)


def _axis(call: Call) -> int:
    position = 1 if call.node.target in _UNBIND else 2
    return int(call.argument(position, "dim", 0)) % len(call.input_shapes[0])


def _sizes(call: Call) -> list[int]:
    size = call.input_shapes[0][_axis(call)]
    if call.node.target in _UNBIND:
        return [1] * size
    if call.node.target in _CHUNK:
        step = -(-size // int(call.argument(1, "chunks")))
    else:
        given = call.argument(1, "split_size_or_sections", call.kwargs.get("split_size"))
        if not isinstance(given, int):
            return [int(part) for part in given]
        step = given
    return [min(step, size - start) for start in range(0, size, step)]
