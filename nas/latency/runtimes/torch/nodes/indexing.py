"""Slices, gathering, scattering, sorting and cumulative sums."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nas.latency.runtimes.torch.nodes.translation import Attributes, Translation

if TYPE_CHECKING:
    from nas.latency.runtimes.torch.graph import TorchGraph, Value

#: ONNX's name of a scatter reduction → torch's name.
_REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


def _slice(
    graph: TorchGraph,
    attributes: Attributes,
    value: Value,
    starts: Value,
    ends: Value,
    axes: Value | None = None,
    steps: Value | None = None,
) -> Any:
    shape = graph.shape(value)
    first = graph.numbers(starts)
    dimensions = graph.numbers(axes) or list(range(len(first)))
    index = [slice(None)] * len(shape)
    strides = graph.numbers(steps) or [1] * len(first)
    for axis, start, end, step in zip(dimensions, first, graph.numbers(ends), strides, strict=True):
        if step > 0:
            index[axis] = slice(start, min(end, shape[axis]), step)
        else:
            places = range(shape[axis])[slice(start, end if end >= -shape[axis] else None, step)]
            value = graph.call(torch.index_select, value, axis, torch.tensor(list(places), dtype=torch.int64))
    return value if index == [slice(None)] * len(shape) else graph.call(operator.getitem, value, tuple(index))


def _gather(graph: TorchGraph, attributes: Attributes, value: Value, places: Value) -> Any:
    axis, shape = attributes.get("axis", 0), graph.shape(value)
    axis %= len(shape)
    if graph.shape(places) == ():
        return graph.call(torch.select, value, axis, int(graph.numbers(places)[0]))
    places = torch.tensor(graph.numbers(places)).reshape(graph.shape(places)) % shape[axis]
    found = graph.call(torch.index_select, value, axis, places.flatten())
    return graph.call(torch.reshape, found, [*shape[:axis], *places.shape, *shape[axis + 1 :]])


def _gather_elements(graph: TorchGraph, attributes: Attributes, value: Value, places: Value) -> Any:
    axis = attributes.get("axis", 0)
    return graph.call(torch.gather, value, axis, graph.call(torch.remainder, places, graph.shape(value)[axis]))


def _gather_nd(graph: TorchGraph, attributes: Attributes, value: Value, places: Value) -> Any:
    if attributes.get("batch_dims", 0):
        raise ValueError("batch_dims are not supported")
    return graph.call(at_places, value, places)


def at_places(value: Tensor, places: Tensor) -> Tensor:
    """The parts of a value at the indices that are the rows of ``places``."""
    return value[places.unbind(-1)]


def _scatter_elements(graph: TorchGraph, attributes: Attributes, value: Value, places: Value, new: Value) -> Any:
    axis, reduction = attributes.get("axis", 0), attributes.get("reduction", "none")
    places = graph.call(torch.remainder, places, graph.shape(value)[axis])
    if reduction == "none":
        return graph.call(torch.scatter, value, axis, places, new)
    return graph.call(torch.scatter_reduce, value, axis, places, new, _REDUCTIONS[reduction])


def _scatter_nd(graph: TorchGraph, attributes: Attributes, value: Value, places: Value, new: Value) -> Any:
    reduction = attributes.get("reduction", "none")
    if reduction not in ("none", "add"):
        raise ValueError(f"reduction {reduction!r} is not supported")
    return graph.call(with_places, value, places, new, reduction == "add")


def with_places(value: Tensor, places: Tensor, new: Tensor, add: bool) -> Tensor:
    """The value with ``new`` written or added at the indices that are the rows of ``places``."""
    return value.index_put(places.unbind(-1), new, accumulate=add)


def _split(graph: TorchGraph, attributes: Attributes, value: Value, sizes: Value | None = None) -> Any:
    axis, count = attributes.get("axis", 0), attributes["count"]
    lengths = graph.numbers(sizes) or [-(-graph.shape(value)[axis] // count)] * (count - 1)
    lengths += [graph.shape(value)[axis] - sum(lengths)] * (count - len(lengths))
    return graph.parts(graph.call(torch.split, value, lengths, axis), count)


def _top_k(graph: TorchGraph, attributes: Attributes, value: Value, count: Value) -> Any:
    largest = bool(attributes.get("largest", 1))
    (number,) = graph.numbers(count)
    return graph.parts(graph.call(first_sorted, value, number, attributes.get("axis", -1), largest), 2)


def first_sorted(value: Tensor, count: int, axis: int, largest: bool) -> tuple[Tensor, Tensor]:
    """The largest or smallest elements along a dimension and their places; ties in their order, as ONNX requires."""
    found, places = value.sort(dim=axis, descending=largest, stable=True)
    return found.narrow(axis, 0, count), places.narrow(axis, 0, count)


def _cum_sum(graph: TorchGraph, attributes: Attributes, value: Value, axis: Value) -> Any:
    flags = bool(attributes.get("exclusive", 0)), bool(attributes.get("reverse", 0))
    return graph.call(running_sum, value, graph.numbers(axis)[0], *flags)


def running_sum(value: Tensor, axis: int, exclusive: bool, reverse: bool) -> Tensor:
    """Cumulative sums along a dimension, from its end if ``reverse``, without the element itself if ``exclusive``."""
    value = value.flip(axis) if reverse else value
    sums = value.cumsum(axis, dtype=value.dtype)
    found = sums - value if exclusive else sums
    return found.flip(axis) if reverse else found


def _trilu(graph: TorchGraph, attributes: Attributes, value: Value, diagonal: Value | None = None) -> Any:
    (number,) = graph.numbers(diagonal) or [0]
    return graph.call(torch.triu if attributes.get("upper", 1) else torch.tril, value, number)


def _one_hot(graph: TorchGraph, attributes: Attributes, places: Value, depth: Value, values: Value) -> Any:
    (size,) = graph.numbers(depth)
    return graph.call(one_at, places, values, int(size), attributes.get("axis", -1))


def one_at(places: Tensor, values: Tensor, size: int, axis: int) -> Tensor:
    """One-hot encoding in a new dimension of ``size``: ``values[1]`` at each place, ``values[0]`` elsewhere."""
    places = torch.where(places < 0, places + size, places).unsqueeze(-1)
    hit = places == torch.arange(size, device=places.device)
    return torch.where(hit, values[1], values[0]).movedim(-1, axis)


INDEXING: dict[str, Translation] = {
    "CumSum": _cum_sum,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "OneHot": _one_hot,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "Slice": _slice,
    "Split": _split,
    "TopK": _top_k,
    "Trilu": _trilu,
    "Where": lambda graph, attributes, *values: graph.call(torch.where, *values),
}
