"""ONNX op → torch, for the ops our files consist of and those of torch's own exporter; opset 13 and newer."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from nas.latency.runtimes.torch.graph import TorchGraph, Value

Attributes = dict[str, Any]
#: ``(graph, attributes, inputs…) -> value``, or a list of values.
Translation = Callable[..., Any]

#: ONNX's number of an element type → torch's.
_TYPES = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
}


def _unary(function: Callable[[Tensor], Tensor]) -> Translation:
    return lambda graph, attributes, value: graph.call(function, value)


def _binary(function: Callable[..., Tensor]) -> Translation:
    return lambda graph, attributes, first, second: graph.call(function, _plain(first), _plain(second))


def _plain(value: Value) -> Any:
    """A constant of one float as a number: no tensor to read in each run."""
    plain = isinstance(value, Tensor) and value.ndim == 0 and value.is_floating_point()
    return value.item() if plain else value  # type: ignore[union-attr]


def _arithmetic(function: Callable[..., Any]) -> Translation:
    def translate(graph: TorchGraph, attributes: Attributes, first: Value, second: Value) -> Any:
        if isinstance(first, Tensor) and isinstance(second, Tensor):
            whole = function is operator.truediv and not first.is_floating_point()
            return first // second if whole else function(first, second)
        return graph.call(function, _plain(first), _plain(second))

    return translate


def _sum(graph: TorchGraph, attributes: Attributes, first: Value, *others: Value) -> Any:
    for other in others:
        first = graph.call(operator.add, first, other)
    return first


def _clip(
    graph: TorchGraph, attributes: Attributes, value: Value, low: Value | None = None, high: Value | None = None
) -> Any:
    bounds = [graph.numbers(bound)[0] if bound is not None else None for bound in (low, high)]
    return graph.call(torch.clamp, value, *bounds)


def _windows(graph: TorchGraph, attributes: Attributes, value: Value, kernel: list[int], fill: float) -> Any:
    """The value padded where torch can't pad itself, and what is left for torch to pad: ``(value, padding)``."""
    rank = len(kernel)
    pads = attributes.get("pads", [0] * 2 * rank)
    if attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        pads = _same_pads(graph.shape(value)[2:], kernel, attributes)
    begin, end = pads[:rank], pads[rank:]
    if begin == end and (fill == 0.0 or all(2 * pad <= size for pad, size in zip(begin, kernel, strict=True))):
        return value, begin
    return graph.call(F.pad, value, _torch_pads(begin, end), value=fill), [0] * rank


def _torch_pads(begin: list[int], end: list[int]) -> list[int]:
    """Pads of the last dimension first, as torch has them."""
    return [pad for pair in zip(reversed(begin), reversed(end), strict=True) for pad in pair]


def _same_pads(sizes: tuple[int, ...], kernel: list[int], attributes: Attributes) -> list[int]:
    strides, dilations = attributes.get("strides", [1] * len(kernel)), attributes.get("dilations", [1] * len(kernel))
    begin, end = [], []
    for size, window, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + (window - 1) * dilation + 1 - size)
        small, large = total // 2, total - total // 2
        upper = attributes["auto_pad"] == "SAME_UPPER"
        begin.append(small if upper else large)
        end.append(large if upper else small)
    return begin + end


def _conv(graph: TorchGraph, attributes: Attributes, value: Value, weight: Value, bias: Value | None = None) -> Any:
    kernel = list(graph.shape(weight)[2:])
    rank = len(kernel)
    value, padding = _windows(graph, attributes, value, kernel, 0.0)
    function = {1: F.conv1d, 2: F.conv2d}[rank]
    strides, dilations = attributes.get("strides", [1] * rank), attributes.get("dilations", [1] * rank)
    return graph.call(function, value, weight, bias, strides, padding, dilations, attributes.get("group", 1))


def _max_pool(graph: TorchGraph, attributes: Attributes, value: Value) -> Any:
    kernel = attributes["kernel_shape"]
    value, padding = _windows(graph, attributes, value, kernel, float("-inf"))
    strides, dilations = attributes.get("strides", [1] * len(kernel)), attributes.get("dilations", [1] * len(kernel))
    ceil = bool(attributes.get("ceil_mode", 0))
    return graph.call(F.max_pool2d, value, kernel, strides, padding, dilations, ceil)


def _average_pool(graph: TorchGraph, attributes: Attributes, value: Value) -> Any:
    kernel, counted = attributes["kernel_shape"], bool(attributes.get("count_include_pad", 0))
    strides, ceil = attributes.get("strides", [1] * len(kernel)), bool(attributes.get("ceil_mode", 0))
    given = graph.shape(value)
    value, padding = _windows(graph, attributes, value, kernel, 0.0)
    found = graph.call(F.avg_pool2d, value, kernel, strides, padding, ceil, counted)
    if graph.shape(value) == given or counted:
        return found
    inside = torch.ones(1, 1, *given[2:])
    inside, _ = _windows(graph, attributes, inside, kernel, 0.0)
    return graph.call(operator.truediv, found, F.avg_pool2d(inside, kernel, strides, 0, ceil))


def _reduce(function: Callable[..., Any]) -> Translation:
    def translate(graph: TorchGraph, attributes: Attributes, value: Value, axes: Value | None = None) -> Any:
        dimensions = graph.numbers(axes) or attributes.get("axes") or list(range(len(graph.shape(value))))
        return graph.call(function, value, dim=dimensions, keepdim=bool(attributes.get("keepdims", 1)))

    return translate


def _gemm(graph: TorchGraph, attributes: Attributes, first: Value, second: Value, bias: Value | None = None) -> Any:
    if attributes.get("transA", 0):
        first = graph.call(torch.t, first)
    if not attributes.get("transB", 0):
        second = second.t().contiguous() if isinstance(second, Tensor) else graph.call(torch.t, second)
    if attributes.get("alpha", 1.0) != 1.0:
        second = graph.call(operator.mul, second, attributes["alpha"])
    if bias is not None and attributes.get("beta", 1.0) != 1.0:
        bias = graph.call(operator.mul, bias, attributes["beta"])
    if bias is None or graph.shape(bias) == graph.shape(second)[:1]:
        return graph.call(F.linear, first, second, bias)
    return graph.call(operator.add, graph.call(F.linear, first, second), bias)


def _matmul(graph: TorchGraph, attributes: Attributes, first: Value, second: Value) -> Any:
    if isinstance(second, Tensor) and second.ndim == 2:  # a layer, whose weight the file has transposed
        return graph.call(F.linear, first, second.t().contiguous())
    return graph.call(torch.matmul, first, second)


def _batch_norm(graph: TorchGraph, attributes: Attributes, *values: Value) -> Any:
    value, weight, bias, mean, variance = values
    return graph.call(F.batch_norm, value, mean, variance, weight, bias, eps=attributes.get("epsilon", 1e-5))


def _instance_norm(graph: TorchGraph, attributes: Attributes, value: Value, weight: Value, bias: Value) -> Any:
    return graph.call(F.instance_norm, value, None, None, weight, bias, eps=attributes.get("epsilon", 1e-5))


def _layer_norm(
    graph: TorchGraph, attributes: Attributes, value: Value, weight: Value, bias: Value | None = None
) -> Any:
    shape = graph.shape(value)
    axis = attributes.get("axis", -1) % len(shape)
    return graph.call(F.layer_norm, value, list(shape[axis:]), weight, bias, attributes.get("epsilon", 1e-5))


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
        if step < 0:
            raise ValueError("negative steps are unknown")
        index[axis] = slice(start, min(end, shape[axis]), step)
    return graph.call(operator.getitem, value, tuple(index))


def _gather(graph: TorchGraph, attributes: Attributes, value: Value, places: Value) -> Any:
    axis, shape = attributes.get("axis", 0), graph.shape(value)
    axis %= len(shape)
    if graph.shape(places) == ():
        return graph.call(torch.select, value, axis, int(graph.numbers(places)[0]))
    places = torch.tensor(graph.numbers(places)).reshape(graph.shape(places)) % shape[axis]
    found = graph.call(torch.index_select, value, axis, places.flatten())
    return graph.call(torch.reshape, found, [*shape[:axis], *places.shape, *shape[axis + 1 :]])


def _gather_elements(graph: TorchGraph, attributes: Attributes, value: Value, places: Value) -> Any:
    return graph.call(torch.gather, value, attributes.get("axis", 0), places)


def _reshape(graph: TorchGraph, attributes: Attributes, value: Value, shape: Value) -> Any:
    given = graph.shape(value)
    sizes = [given[axis] if size == 0 else size for axis, size in enumerate(graph.numbers(shape))]
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
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}[attributes.get("mode", "constant")]
    if mode != "constant":
        return graph.call(F.pad, value, _torch_pads(begin[2:], end[2:]), mode=mode)
    return graph.call(F.pad, value, _torch_pads(begin, end), value=(graph.numbers(fill) or [0.0])[0])


def _resize(
    graph: TorchGraph,
    attributes: Attributes,
    value: Value,
    region: Value | None = None,
    scales: Value | None = None,
    sizes: Value | None = None,
) -> Any:
    size = [int(item) for item in graph.numbers(sizes)][-2:]
    if not size:
        size = [int(old * scale) for old, scale in zip(graph.shape(value)[2:], graph.numbers(scales)[-2:], strict=True)]
    mode = attributes.get("mode", "nearest")
    coordinates = attributes.get("coordinate_transformation_mode", "half_pixel")
    if mode == "nearest" and coordinates == "asymmetric" and attributes.get("nearest_mode") == "floor":
        return graph.call(F.interpolate, value, size=size, mode="nearest")
    if mode == "linear" and coordinates in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        corners = coordinates == "align_corners"
        return graph.call(F.interpolate, value, size=size, mode="bilinear", align_corners=corners)
    raise ValueError(f"mode {mode!r} with coordinates {coordinates!r} is unknown")


def _split(graph: TorchGraph, attributes: Attributes, value: Value, sizes: Value | None = None) -> Any:
    axis, count = attributes.get("axis", 0), attributes["count"]
    lengths = graph.numbers(sizes) or [-(-graph.shape(value)[axis] // count)] * (count - 1)
    lengths += [graph.shape(value)[axis] - sum(lengths)] * (count - len(lengths))
    return graph.parts(graph.call(torch.split, value, lengths, axis), count)


def _cast(graph: TorchGraph, attributes: Attributes, value: Value) -> Any:
    return graph.call(torch.Tensor.to, value, _TYPES[attributes["to"]])


def _constant(graph: TorchGraph, attributes: Attributes) -> Any:
    ((name, value),) = attributes.items()
    return value if name == "value" else torch.tensor(value)


def _constant_of_shape(graph: TorchGraph, attributes: Attributes, shape: Value) -> Any:
    value = attributes.get("value", torch.zeros(1))
    return torch.full([int(size) for size in graph.numbers(shape)], value.item(), dtype=value.dtype)


def _arg_max(graph: TorchGraph, attributes: Attributes, value: Value) -> Any:
    return graph.call(torch.argmax, value, attributes.get("axis", 0), bool(attributes.get("keepdims", 1)))


def _hard_sigmoid(graph: TorchGraph, attributes: Attributes, value: Value) -> Any:
    alpha, beta = attributes.get("alpha", 0.2), attributes.get("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return graph.call(F.hardsigmoid, value)
    return graph.call(torch.clamp, graph.call(operator.add, graph.call(operator.mul, value, alpha), beta), 0.0, 1.0)


TRANSLATIONS: dict[str, Translation] = {
    "Abs": _unary(torch.abs),
    "Add": _arithmetic(operator.add),
    "ArgMax": _arg_max,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": lambda graph, attributes, *values: graph.call(torch.cat, list(values), attributes["axis"]),
    "Constant": _constant,
    "Cos": _unary(torch.cos),
    "ConstantOfShape": _constant_of_shape,
    "Conv": _conv,
    "Div": _arithmetic(operator.truediv),
    "Elu": lambda graph, attributes, value: graph.call(F.elu, value, attributes.get("alpha", 1.0)),
    "Equal": _binary(torch.eq),
    "Erf": _unary(torch.erf),
    "Exp": _unary(torch.exp),
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "Gelu": lambda graph, attributes, value: graph.call(
        F.gelu, value, approximate=attributes.get("approximate", "none")
    ),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda graph, attributes, value: graph.call(F.adaptive_avg_pool2d, value, 1),
    "GlobalMaxPool": lambda graph, attributes, value: graph.call(F.adaptive_max_pool2d, value, 1),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _unary(F.hardswish),
    "Identity": lambda graph, attributes, value: value,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": lambda graph, attributes, value: graph.call(F.leaky_relu, value, attributes.get("alpha", 0.01)),
    "Log": _unary(torch.log),
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "Mul": _arithmetic(operator.mul),
    "Neg": _unary(torch.neg),
    "Pad": _pad,
    "Pow": _binary(torch.pow),
    "Reciprocal": _unary(torch.reciprocal),
    "ReduceL2": _reduce(torch.linalg.vector_norm),
    "ReduceMax": _reduce(torch.amax),
    "ReduceMean": _reduce(torch.mean),
    "ReduceSum": _reduce(torch.sum),
    "Relu": _unary(F.relu),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": lambda graph, attributes, value: torch.tensor(graph.shape(value)),
    "Sigmoid": _unary(torch.sigmoid),
    "Sin": _unary(torch.sin),
    "Slice": _slice,
    "Softmax": lambda graph, attributes, value: graph.call(F.softmax, value, attributes.get("axis", -1)),
    "Softplus": _unary(F.softplus),
    "Split": _split,
    "Sqrt": _unary(torch.sqrt),
    "Squeeze": _squeeze,
    "Sub": _arithmetic(operator.sub),
    "Sum": _sum,
    "Tanh": _unary(torch.tanh),
    "Transpose": lambda graph, attributes, value: graph.call(torch.permute, value, attributes["perm"]),
    "Unsqueeze": _unsqueeze,
    "Where": lambda graph, attributes, *values: graph.call(torch.where, *values),
}
