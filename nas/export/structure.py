"""What a file's speed depends on: its graph, shapes, dtypes and where its zeros are, not its values."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

#: Output channels counted together: the largest block a sparse kernel works on.
BLOCK = 4
#: Constants up to this size are settings (shapes, scales of one tensor), of which only the dtype and shape count too.
MATRIX = 2


def structure_hash(model: onnx.ModelProto) -> str:
    """Hash of nodes, attributes, shapes, dtypes and non-zeros per block of rows."""
    graph = model.graph
    weights = {item.name: _describe(item) for item in graph.initializer}
    text = json.dumps(
        {
            "opset": [[item.domain, item.version] for item in model.opset_import],
            "inputs": [_value(item) for item in graph.input if item.name not in weights],
            "nodes": [
                [
                    node.op_type,
                    [weights.get(name, name) for name in node.input],
                    list(node.output),
                    sorted([item.name, _attribute(item)] for item in node.attribute),
                ]
                for node in graph.node
            ],
            "outputs": [_value(item) for item in graph.output],
        },
        sort_keys=True,
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _describe(tensor: onnx.TensorProto) -> list[Any]:
    described: list[Any] = [tensor.data_type, list(tensor.dims)]
    if len(tensor.dims) < MATRIX:
        return described
    rows = numpy_helper.to_array(tensor).reshape(tensor.dims[0], -1)
    non_zeros = np.count_nonzero(rows, axis=1)
    blocks = [int(non_zeros[start : start + BLOCK].sum()) for start in range(0, len(non_zeros), BLOCK)]
    # Rounding to integers makes a few zeros by chance: within 2 % a matrix counts as dense.
    size = rows.shape[1] * BLOCK
    return [*described, [count if count < 0.98 * min(size, rows.size) else "dense" for count in blocks]]


def _value(item: onnx.ValueInfoProto) -> list[Any]:
    kind = item.type.tensor_type
    return [item.name, kind.elem_type, [dim.dim_param or dim.dim_value for dim in kind.shape.dim]]


def _attribute(item: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(item)
    if isinstance(value, onnx.TensorProto):
        return _describe(value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return list(value) if hasattr(value, "__len__") and not isinstance(value, str) else value
