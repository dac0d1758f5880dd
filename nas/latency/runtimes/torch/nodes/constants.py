"""Constants of a file, and values that are computed from shapes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from nas.latency.runtimes.torch.nodes.translation import Attributes, Translation

if TYPE_CHECKING:
    from nas.latency.runtimes.torch.graph import TorchGraph, Value

#: ONNX's number of an element type → torch's type.
TYPES = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    16: torch.bfloat16,
}


def _constant(graph: TorchGraph, attributes: Attributes) -> Any:
    ((name, value),) = attributes.items()
    return value if name == "value" else torch.tensor(value)


def _constant_of_shape(graph: TorchGraph, attributes: Attributes, shape: Value) -> Any:
    value = attributes.get("value", torch.zeros(1))
    return torch.full([int(size) for size in graph.numbers(shape)], value.item(), dtype=value.dtype)


def _eye_like(graph: TorchGraph, attributes: Attributes, value: Value) -> Any:
    rows, columns = graph.shape(value)
    dtype = TYPES[attributes["dtype"]] if "dtype" in attributes else graph.dtype(value)
    places = torch.arange(columns) - torch.arange(rows).unsqueeze(1)
    return (places == attributes.get("k", 0)).to(dtype)


def _range(graph: TorchGraph, attributes: Attributes, start: Value, limit: Value, delta: Value) -> Any:
    numbers = [graph.numbers(item)[0] for item in (start, limit, delta)]
    return torch.arange(*numbers, dtype=graph.dtype(start))


def _shape(graph: TorchGraph, attributes: Attributes, value: Value) -> Any:
    sizes = graph.shape(value)[attributes.get("start", 0) : attributes.get("end")]
    return torch.tensor(sizes, dtype=torch.int64)


CONSTANTS: dict[str, Translation] = {
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "EyeLike": _eye_like,
    "Range": _range,
    "Shape": _shape,
    "Size": lambda graph, attributes, value: torch.tensor(torch.Size(graph.shape(value)).numel()),
}
