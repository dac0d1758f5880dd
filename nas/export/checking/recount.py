"""Counts weights, zeros and MACs of an ONNX file, from the file alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper, shape_inference

#: Operators between a stored weight and the operator that multiplies by it.
_UNPACKING = {"DequantizeLinear", "Cast", "Reshape", "Transpose"}
#: Operator that multiplies and adds → positions of the inputs that can be weights.
_MULTIPLYING = {"Conv": (1,), "ConvTranspose": (1,), "Gemm": (0, 1), "MatMul": (0, 1)}


@dataclass(frozen=True)
class Recount:
    """What a file contains."""

    #: Number of weights of convolutions, linear layers and matrix products.
    weights: int
    #: Number of these weights that are zero.
    zeros: int
    #: Multiply-accumulate operations for one input.
    macs: int
    size_bytes: int


def recount(path: Path) -> Recount:
    """Count a file with one input, whose first dimension is the batch."""
    model = shape_inference.infer_shapes(onnx.load(str(path)), data_prop=True)
    graph = model.graph
    stored = {item.name: item for item in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    shapes = {item.name: list(item.dims) for item in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        shapes[value.name] = [item.dim_value for item in value.type.tensor_type.shape.dim]
    batch, macs, found = shapes[graph.input[0].name][0], 0, {}
    for node in graph.node:
        if node.op_type not in _MULTIPLYING:
            continue
        macs += _macs(node, shapes)
        for place in _MULTIPLYING[node.op_type]:
            if (weight := _stored(node.input[place], stored, makers)) is not None:
                found[weight] = _values(weight, stored, makers, node.input[place])
    zeros = sum(array.size - np.count_nonzero(array) for array in found.values())
    count = sum(array.size for array in found.values())
    return Recount(int(count), int(zeros), macs // batch, path.stat().st_size)


def _stored(name: str, stored: dict[str, Any], makers: dict[str, Any]) -> str | None:
    """Name of the initializer that a value is unpacked from; None if it depends on the input."""
    while name not in stored:
        node = makers.get(name)
        if node is None or node.op_type not in _UNPACKING:
            return None
        name = node.input[0]
    return name


def _values(weight: str, stored: dict[str, Any], makers: dict[str, Any], name: str) -> np.ndarray:
    """The weight as it is multiplied, up to a factor: zero points of integers are subtracted."""
    values = numpy_helper.to_array(stored[weight])
    while name != weight:
        node = makers[name]
        if node.op_type == "DequantizeLinear" and len(node.input) > 2 and node.input[2] in stored:
            zero_point = numpy_helper.to_array(stored[node.input[2]]).astype(np.int32)
            if zero_point.any():
                axis = next((item.i for item in node.attribute if item.name == "axis"), 1)
                values = values.astype(np.int32) - _along(zero_point, axis, values.shape)
        name = node.input[0]
    found: np.ndarray = values.astype(np.float32)
    return found


def _along(zero_point: np.ndarray, axis: int, shape: tuple[int, ...]) -> np.ndarray:
    if zero_point.ndim < 2:
        return zero_point.reshape([-1 if place == axis else 1 for place in range(len(shape))])
    return np.repeat(zero_point, shape[axis] // zero_point.shape[axis], axis=axis)


def _macs(node: Any, shapes: dict[str, list[int]]) -> int:
    first, second, output = (shapes[name] for name in (node.input[0], node.input[1], node.output[0]))
    if node.op_type == "Conv":
        return math.prod(output) * math.prod(second[1:])
    if node.op_type == "ConvTranspose":
        return math.prod(first) * math.prod(second[1:])
    transposed = any(item.name == "transA" and item.i for item in node.attribute)
    return math.prod(output) * (first[0] if transposed else first[-1])
