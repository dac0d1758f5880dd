"""Changes of shapes, sizes and types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from nas.latency.runtimes.torch.nodes.constants import TYPES
from nas.latency.runtimes.torch.nodes.translation import Attributes, Translation
from nas.latency.runtimes.torch.nodes.windows import torch_pads

if TYPE_CHECKING:
    from nas.latency.runtimes.torch.graph import TorchGraph, Value

#: ONNX's name of a padding mode → torch's name.
_PADDING = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def _reshape(graph: TorchGraph, attributes: Attributes, value: Value, shape: Value) -> Any:
    given, keeps_zeros = graph.shape(value), bool(attributes.get("allowzero", 0))
    sizes = [given[axis] if size == 0 and not keeps_zeros else size for axis, size in enumerate(graph.numbers(shape))]
    return graph.call(torch.reshape, value, sizes)


def _flatten(graph: TorchGraph, attributes: Attributes, value: Value) -> Any:
    shape, axis = graph.shape(value), attributes.get("axis", 1)
    rows = torch.Size(shape[:axis]).numel()
    return graph.call(torch.reshape, value, [rows, -1])


def _squeeze(graph: TorchGraph, attributes: Attributes, value: Value, axes: Value | None = None) -> Any:
    shape = graph.shape(value)
    dimensions = graph.numbers(axes) or [axis for axis, size in enumerate(shape) if size == 1]
    return graph.call(torch.squeeze, value, [int(axis) for axis in dimensions])


def _unsqueeze(graph: TorchGraph, attributes: Attributes, value: Value, axes: Value) -> Any:
    rank = len(graph.shape(value)) + len(graph.numbers(axes))
    for axis in sorted(int(axis) % rank for axis in graph.numbers(axes)):
        value = graph.call(torch.unsqueeze, value, axis)
    return value


def _expand(graph: TorchGraph, attributes: Attributes, value: Value, shape: Value) -> Any:
    sizes = np.broadcast_shapes(graph.shape(value), tuple(map(int, graph.numbers(shape))))
    return graph.call(torch.broadcast_to, value, list(sizes))


def _transpose(graph: TorchGraph, attributes: Attributes, value: Value) -> Any:
    axes = attributes.get("perm") or list(reversed(range(len(graph.shape(value)))))
    return graph.call(torch.permute, value, axes)


def _pad(
    graph: TorchGraph,
    attributes: Attributes,
    value: Value,
    pads: Value,
    fill: Value | None = None,
    axes: Value | None = None,
) -> Any:
    rank, given = len(graph.shape(value)), graph.numbers(pads)
    count = len(given) // 2
    dimensions = graph.numbers(axes) or list(range(count))
    begin, end = [0] * rank, [0] * rank
    for axis, before, after in zip(dimensions, given[:count], given[count:], strict=True):
        begin[axis], end[axis] = before, after
    mode = _PADDING[attributes.get("mode", "constant")]
    if mode == "constant":
        return graph.call(F.pad, value, torch_pads(begin, end), value=(graph.numbers(fill) or [0.0])[0])
    if any((*begin[:2], *end[:2])):
        raise ValueError(f"mode {attributes['mode']!r} that pads batch or channels is not supported")
    return graph.call(F.pad, value, torch_pads(begin[2:], end[2:]), mode=mode)


def _depth_to_space(graph: TorchGraph, attributes: Attributes, value: Value) -> Any:
    size = attributes["blocksize"]
    if attributes.get("mode", "DCR") == "DCR":
        batch, channels, *sizes = graph.shape(value)
        blocks = graph.call(torch.reshape, value, [batch, size * size, channels // size**2, *sizes])
        value = graph.call(torch.reshape, graph.call(torch.transpose, blocks, 1, 2), [batch, channels, *sizes])
    return graph.call(F.pixel_shuffle, value, size)


def _cast(graph: TorchGraph, attributes: Attributes, value: Value) -> Any:
    return graph.call(torch.Tensor.to, value, TYPES[attributes["to"]])


SHAPING: dict[str, Translation] = {
    "Cast": _cast,
    "CastLike": lambda graph, attributes, value, like: graph.call(torch.Tensor.to, value, graph.dtype(like)),
    "Concat": lambda graph, attributes, *values: graph.call(torch.cat, list(values), attributes["axis"]),
    "DepthToSpace": _depth_to_space,
    "Expand": _expand,
    "Flatten": _flatten,
    "Identity": lambda graph, attributes, value: value,
    "Pad": _pad,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Tile": lambda graph, attributes, value, repeats: graph.call(torch.tile, value, graph.numbers(repeats)),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
