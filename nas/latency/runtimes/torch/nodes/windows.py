"""Convolutions and pooling."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from nas.latency.runtimes.torch.nodes.translation import Attributes, Translation

if TYPE_CHECKING:
    from nas.latency.runtimes.torch.graph import TorchGraph, Value


def torch_pads(begin: list[int], end: list[int]) -> list[int]:
    """Pads in torch's order: the last dimension first, both of its ends side by side."""
    return [pad for pair in zip(reversed(begin), reversed(end), strict=True) for pad in pair]


def _windows(
    graph: TorchGraph, attributes: Attributes, value: Value, kernel: list[int], fill: float | None = None
) -> Any:
    """Pad a value if torch's operation can't; returns the value, and the padding left for torch.

    ``fill`` is the value that pooling pads with; None for a convolution, which pads zeros. Torch's pooling pads at most
    half of its window.
    """
    begin, end = _pads(graph.shape(value)[2:], kernel, attributes)
    if begin == end and (fill is None or all(2 * pad <= size for pad, size in zip(begin, kernel, strict=True))):
        return value, begin
    return graph.call(F.pad, value, torch_pads(begin, end), value=fill or 0.0), [0] * len(kernel)


def _pads(sizes: tuple[int, ...], kernel: list[int], attributes: Attributes) -> tuple[list[int], list[int]]:
    rank = len(kernel)
    if attributes.get("auto_pad", "NOTSET") == "VALID":
        return [0] * rank, [0] * rank
    if attributes.get("auto_pad", "NOTSET") == "NOTSET":
        pads = attributes.get("pads", [0] * 2 * rank)
        return pads[:rank], pads[rank:]
    strides, dilations = attributes.get("strides", [1] * rank), attributes.get("dilations", [1] * rank)
    totals = [
        max(0, (-(-size // stride) - 1) * stride + (window - 1) * dilation + 1 - size)
        for size, window, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True)
    ]
    return _same(totals, attributes["auto_pad"] == "SAME_UPPER")


def _same(totals: list[int], more_at_end: bool) -> tuple[list[int], list[int]]:
    """Total pads divided between both ends; an odd total gives one end one more."""
    small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return (small, large) if more_at_end else (large, small)


def _conv(graph: TorchGraph, attributes: Attributes, value: Value, weight: Value, bias: Value | None = None) -> Any:
    kernel = list(graph.shape(weight)[2:])
    rank = len(kernel)
    value, padding = _windows(graph, attributes, value, kernel)
    function = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[rank]
    strides, dilations = attributes.get("strides", [1] * rank), attributes.get("dilations", [1] * rank)
    return graph.call(function, value, weight, bias, strides, padding, dilations, attributes.get("group", 1))


def _conv_transpose(
    graph: TorchGraph, attributes: Attributes, value: Value, weight: Value, bias: Value | None = None
) -> Any:
    kernel = list(graph.shape(weight)[2:])
    rank = len(kernel)
    function = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}[rank]
    strides, dilations = attributes.get("strides", [1] * rank), attributes.get("dilations", [1] * rank)
    more = attributes.get("output_padding", [0] * rank)
    begin, end = _transposed_pads(graph.shape(value)[2:], kernel, attributes)
    padding = begin if begin == end and min(begin) >= 0 else [0] * rank
    group = attributes.get("group", 1)
    found = graph.call(function, value, weight, bias, strides, padding, more, group, dilations)
    if padding == begin == end:
        return found
    return graph.call(F.pad, found, [-pad for pad in torch_pads(begin, end)])


def _transposed_pads(sizes: tuple[int, ...], kernel: list[int], attributes: Attributes) -> tuple[list[int], list[int]]:
    rank = len(kernel)
    strides, dilations = attributes.get("strides", [1] * rank), attributes.get("dilations", [1] * rank)
    more, automatic = attributes.get("output_padding", [0] * rank), attributes.get("auto_pad", "NOTSET")
    wanted = attributes.get("output_shape", [])[-rank:]
    if not wanted and automatic in ("NOTSET", "VALID"):
        return _pads(sizes, kernel, attributes)
    wanted = wanted or [size * stride for size, stride in zip(sizes, strides, strict=True)]
    totals = [
        strides[axis] * (sizes[axis] - 1) + more[axis] + (kernel[axis] - 1) * dilations[axis] + 1 - wanted[axis]
        for axis in range(rank)
    ]
    return _same(totals, automatic == "SAME_UPPER")


def _max_pool(graph: TorchGraph, attributes: Attributes, value: Value) -> Any:
    kernel = attributes["kernel_shape"]
    rank = len(kernel)
    value, padding = _windows(graph, attributes, value, kernel, float("-inf"))
    strides, dilations = attributes.get("strides", [1] * rank), attributes.get("dilations", [1] * rank)
    function = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[rank]
    return graph.call(function, value, kernel, strides, padding, dilations, bool(attributes.get("ceil_mode", 0)))


def _average_pool(graph: TorchGraph, attributes: Attributes, value: Value) -> Any:
    kernel, counted = attributes["kernel_shape"], bool(attributes.get("count_include_pad", 0))
    rank = len(kernel)
    if any(dilation > 1 for dilation in attributes.get("dilations", [])):
        raise ValueError("dilations are not supported")
    function = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[rank]
    strides, ceil = attributes.get("strides", [1] * rank), bool(attributes.get("ceil_mode", 0))
    given = graph.shape(value)
    value, padding = _windows(graph, attributes, value, kernel, 0.0)
    if graph.shape(value) != given and counted and ceil:
        raise ValueError("uneven pads that count in the mean, with windows that reach beyond them, are not supported")
    found = graph.call(function, value, kernel, strides, padding, ceil, counted)
    if graph.shape(value) == given or counted:
        return found
    inside = torch.ones(1, 1, *given[2:])
    inside, _ = _windows(graph, attributes, inside, kernel, 0.0)
    return graph.call(operator.truediv, found, function(inside, kernel, strides, 0, ceil))


def _global(functions: dict[int, Any]) -> Translation:
    return lambda graph, attributes, value: graph.call(functions[len(graph.shape(value)) - 2], value, 1)


WINDOWS: dict[str, Translation] = {
    "AveragePool": _average_pool,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "GlobalAveragePool": _global({1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}),
    "GlobalMaxPool": _global({1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}),
    "MaxPool": _max_pool,
}
