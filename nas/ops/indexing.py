"""Parts of a tensor by basic indexing, and parts of a tuple of tensors."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from nas.ops import Call, Example, Integer, Op

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class IndexingOp(Op):
    """Indexing by numbers, slices, ``None`` and ``...``; one part of a split tensor."""

    targets = (operator.getitem,)

    def covers(self, call: Call) -> bool:
        """Basic indexing; not tensors as indices, and not several parts of a tuple at once."""
        if _of_parts(call):
            return isinstance(call.args[1], int)
        return all(isinstance(item, int | slice | None) or item is Ellipsis for item in _items(call))

    def transparent(self, call: Call) -> bool:
        """An index that selects everything and keeps the shape."""
        return not _of_parts(call) and call.output_shape == call.input_shapes[0]

    def integer(self, call: Call) -> Integer:
        """See ``Op.integer``."""
        return "float" if _of_parts(call) else "same"

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """A ``Slice`` if values are left out, a ``Reshape`` if dimensions change; for a tuple, the selected part."""
        if _of_parts(call):
            return graph.unpack(inputs[0])[int(call.args[1])]
        before, value = call.input_shapes[0], inputs[0]
        cuts = [slice(*item) for item in self.attributes(call)["cuts"]]
        cut = [axis for axis, size in enumerate(before) if cuts[axis] != slice(0, size, 1)]
        if cut:
            columns = zip(*((cuts[axis].start, cuts[axis].stop, axis, cuts[axis].step) for axis in cut), strict=True)
            value = graph.node("Slice", [value, *(graph.constant(np.array(part, dtype=np.int64)) for part in columns)])
        kept = tuple(len(range(before[axis])[part]) for axis, part in enumerate(cuts))
        return value if kept == call.output_shape else graph.reshape(value, call.output_shape)

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``: start, end and step of each dimension; the output's shape says the rest."""
        if _of_parts(call):
            return {"part": call.args[1]}
        return {"cuts": [[cut.start, cut.stop, cut.step] for cut in _cuts(call)]}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        functions: dict[str, Callable[[Tensor], Tensor]] = {
            "first": lambda value: value[:, 0],
            "last": lambda value: value[:, -1] * 2.0,
            "slice": lambda value: value[:, 1:3],
            "open_slice": lambda value: value[..., :-2],
            "step": lambda value: value[:, ::2, 1::2],
            "new_dimension": lambda value: value[:, None, 1, :, 2:],
            "everything": lambda value: value[:, :, ...] + 1.0,
            "part": lambda value: value.chunk(2, 1)[-1],
        }
        return [Example(name, _Function(function), (2, 4, 6, 5)) for name, function in functions.items()]


class _Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        return self.function(inputs)


def _of_parts(call: Call) -> bool:
    """Whether a tuple of tensors is indexed: it has no shape of its own."""
    return call.input_shapes[0] == ()


def _items(call: Call) -> list[Any]:
    index = call.args[1]
    return list(index) if isinstance(index, tuple) else [index]


def _cuts(call: Call) -> list[slice]:
    """One slice for each dimension of the input, with integers for start, end and step."""
    shape, items = call.input_shapes[0], [item for item in _items(call) if item is not None]
    missing = [slice(None)] * (len(shape) - sum(item is not Ellipsis for item in items))
    place = items.index(Ellipsis) if Ellipsis in items else len(items)
    items[place : place + 1] = missing
    return [_whole_numbers(item, size) for item, size in zip(items, shape, strict=True)]


def _whole_numbers(item: int | slice, size: int) -> slice:
    if isinstance(item, int):
        return slice(item % size, item % size + 1, 1)
    return slice(*item.indices(size))
