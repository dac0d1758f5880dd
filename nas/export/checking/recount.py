"""Counts weights, zeros and MACs of an ONNX file, from the file alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper, shape_inference

from nas.errors import ExportError

#: Operators between a stored weight and the operator that multiplies by it.
_UNPACKING = {"DequantizeLinear", "Cast", "Reshape", "Transpose"}
_FLOATS = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE}
#: Operator that multiplies and adds → positions of the inputs that can be weights.
_MULTIPLYING = {"Conv": (1,), "ConvTranspose": (1,), "Gemm": (0, 1), "MatMul": (0, 1)}


@dataclass(frozen=True)
class Recount:
    """What a file contains."""

    #: Number of weights of convolutions, linear layers and matrix products.
    weights: int
    #: Number of all stored numbers that are no integers, or are unpacked to such; without the scales of integers.
    parameters: int
    #: Number of these weights that are zero.
    zeros: int
    #: Multiply-accumulate operations for one input.
    macs: int
    size_bytes: int


def recount(path: Path) -> Recount:
    """Count a file with one input, whose first dimension is the batch.

    Raises:
        ExportError: the shapes of a layer do not follow from the file.
    """
    model = shape_inference.infer_shapes(onnx.load(str(path)), data_prop=True)
    graph = model.graph
    stored = {item.name: item for item in graph.initializer} | _constants(graph)
    makers = {name: node for node in graph.node for name in node.output}
    shapes = {name: list(item.dims) for name, item in stored.items()}
    for value in (*graph.input, *graph.value_info, *graph.output):
        shapes[value.name] = [item.dim_value for item in value.type.tensor_type.shape.dim]
    (batch,) = {shapes[item.name][0] for item in graph.input if item.name not in stored}
    macs, found = 0, dict[str, np.ndarray]()
    for node in graph.node:
        if node.op_type not in _MULTIPLYING:
            continue
        macs += _macs(node, shapes)
        for place in _MULTIPLYING[node.op_type]:
            if (weight := _stored(node.input[place], stored, makers)) is not None:
                found[weight] = _values(weight, stored, makers, node.input[place])
    zeros = sum(array.size - np.count_nonzero(array) for array in found.values())
    count = sum(array.size for array in found.values())
    return Recount(int(count), _parameters(graph, stored), int(zeros), macs // batch, path.stat().st_size)


def _constants(graph: onnx.GraphProto) -> dict[str, Any]:
    """The tensors of nodes that only hold one."""
    return {
        node.output[0]: item.t
        for node in graph.node
        if node.op_type == "Constant"
        for item in node.attribute
        if item.name == "value"
    }


def _parameters(graph: onnx.GraphProto, stored: dict[str, Any]) -> int:
    packing = [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    scales = {name for node in packing for name in node.input[1:]}
    packed = {node.input[0] for node in packing}
    return sum(
        math.prod(item.dims)
        for name, item in stored.items()
        if name not in scales and (item.data_type in _FLOATS or name in packed)
    )


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
    first, second, output = (shapes.get(name, [0]) for name in (node.input[0], node.input[1], node.output[0]))
    if 0 in (*first, *second, *output):
        raise ExportError(f"the shapes of {node.op_type} {node.name!r} are not in the file")
    if node.op_type == "Conv":
        return math.prod(output) * math.prod(second[1:])
    if node.op_type == "ConvTranspose":
        return math.prod(first) * math.prod(second[1:])
    transposed = any(item.name == "transA" and item.i for item in node.attribute)
    return math.prod(output) * (first[0] if transposed else first[-1])
