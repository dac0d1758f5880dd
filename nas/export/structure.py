"""A hash of everything in an ONNX file that affects its latency, which is all except the values of weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

#: Number of rows (output channels) whose non-zeros are counted together: the largest block that kernels use.
ROW_BLOCK = 4
#: A smaller share of zeros makes no kernel faster.
ACCIDENTAL = 1 / 32
#: Key of the file's metadata that has: name of an initializer with integers → its ``count_nonzeros`` before rounding.
NONZEROS_KEY = "measured_nas.nonzeros"


def structure_hash(path: Path) -> str:
    """A hash that is equal for files that differ only in names and in the values of their weights.

    It depends on nodes, attributes, shapes, dtypes, the values of int64 constants (axes, shapes), and the number of
    non-zeros in each block of rows of a weight. For integer weights, the non-zeros before rounding count if the file
    has them.
    """
    return structure_hash_of(onnx.load(str(path)))


def structure_hash_of(model: onnx.ModelProto) -> str:
    """``structure_hash`` of a loaded model."""
    recorded = {item.key: item.value for item in model.metadata_props}
    nonzeros: Mapping[str, list[list[int]]] = json.loads(recorded.get(NONZEROS_KEY, "{}"))
    number: dict[str, int] = {"": -1}
    lines = [f"opsets {sorted((item.domain, item.version) for item in model.opset_import)}"]
    graph = model.graph
    for value in [*graph.input, *graph.output]:
        kind = value.type.tensor_type
        sizes = [dimension.dim_value for dimension in kind.shape.dim]
        lines.append(f"value {kind.elem_type} {sizes}")
    number |= {value.name: index for index, value in enumerate(graph.input)}
    # A constant is described at every use, because equal constants may or may not be stored once.
    constants = {item.name: _describe(item, nonzeros.get(item.name)) for item in graph.initializer}
    for node in graph.node:
        inputs = [constants.get(name) or number[name] for name in node.input]
        for name in node.output:
            number[name] = len(number)
        attributes = sorted((item.name, _attribute(item)) for item in node.attribute)
        outputs = [number[name] for name in node.output]
        lines.append(f"{node.domain}.{node.op_type} {inputs} {outputs} {attributes}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def count_nonzeros(array: np.ndarray) -> list[list[int]]:
    """For each block of ``ROW_BLOCK`` rows: its non-zeros, and its columns with a non-zero in 2 and in 4 rows together.

    A row is one index of the first dimension. Kernels read a column once for all rows of a block, so zeros in blocks
    are faster than the same number of scattered zeros. A block whose share of zeros is below ``ACCIDENTAL`` counts as
    full, because some of millions of weights are zero by chance.
    """
    rows = array.reshape(array.shape[0], -1) != 0
    sizes = np.minimum(ROW_BLOCK, len(rows) - np.arange(0, len(rows), ROW_BLOCK))
    padded = np.zeros((len(sizes) * ROW_BLOCK, rows.shape[1]), dtype=bool)
    padded[: len(rows)] = rows
    pairs: np.ndarray = np.any(padded.reshape(len(sizes), 2, 2, -1), axis=2)
    found = np.stack([padded.reshape(len(sizes), -1).sum(1), pairs.sum((1, 2)), pairs.any(axis=1).sum(1)], 1)
    full = np.stack([sizes, (sizes + 1) // 2, np.ones_like(sizes)], 1) * rows.shape[1]
    is_full = full[:, 0] - found[:, 0] < ACCIDENTAL * full[:, 0]
    return np.where(is_full[:, None], full, found).tolist()  # type: ignore[no-any-return]


def record_nonzeros(model: onnx.ModelProto, originals: Mapping[str, np.ndarray]) -> None:
    """Store the non-zeros of integer weights before rounding in the file, because rounding makes further zeros."""
    counts = {name: count_nonzeros(array) for name, array in originals.items() if array.ndim > 1}
    if counts:
        onnx.helper.set_model_props(model, {NONZEROS_KEY: json.dumps(counts)})


def _describe(tensor: Any, recorded: list[list[int]] | None) -> str:
    shape, dtype = list(tensor.dims), tensor.data_type
    if dtype == onnx.TensorProto.INT64:
        return f"{dtype} {shape} {numpy_helper.to_array(tensor).tolist()}"
    if len(shape) < 2:
        return f"{dtype} {shape}"
    counts = recorded if recorded is not None else count_nonzeros(numpy_helper.to_array(tensor))
    return f"{dtype} {shape} {counts}"


def _attribute(attribute: Any) -> str:
    if attribute.type == onnx.AttributeProto.TENSOR:
        return _describe(attribute.t, None)
    return str(onnx.helper.get_attribute_value(attribute))
