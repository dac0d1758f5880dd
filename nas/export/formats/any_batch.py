"""Makes an ONNX graph of one batch size accept any number of inputs at once."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nas.errors import ExportError

_BATCH = "batch"


def with_any_batch(model: onnx.ModelProto, other: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of ``model`` whose input and output have a symbolic batch size.

    Sizes that depend on the batch, such as those of a reshape, are found by comparing the graph with the same graph
    for another batch size, and are computed from the input's shape instead.

    Args:
        model: a graph for one batch size.
        other: the same network, written for another batch size.

    Raises:
        ExportError: a node depends on the batch in another way.
    """
    sizes = (_batch(model), _batch(other))
    found = onnx.ModelProto()
    found.CopyFrom(model)
    graph = found.graph
    _check_same_nodes(model, other)
    computed: list[onnx.NodeProto] = []
    kept = []
    for first, second in zip(graph.initializer, other.graph.initializer, strict=True):
        array, changed = numpy_helper.to_array(first), numpy_helper.to_array(second)
        if array.dtype != np.int64 or np.array_equal(array, changed):
            kept.append(first)
        else:
            computed += _computed(first.name, array, _multiples(first.name, array, changed, sizes))
    if computed:
        computed.insert(0, helper.make_node("Shape", [graph.input[0].name], [_BATCH], name=_BATCH, start=0, end=1))
        nodes = [*computed, *graph.node]
        del graph.initializer[:], graph.node[:]
        graph.initializer.extend(kept)
        graph.node.extend(nodes)
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    del graph.value_info[:]
    return found


def _batch(model: onnx.ModelProto) -> int:
    return int(model.graph.input[0].type.tensor_type.shape.dim[0].dim_value)


def _check_same_nodes(model: onnx.ModelProto, other: onnx.ModelProto) -> None:
    def described(node: onnx.NodeProto) -> tuple[str, bytes]:
        return node.op_type, b"".join(item.SerializeToString() for item in node.attribute)

    for first, second in zip(model.graph.node, other.graph.node, strict=False):
        if described(first) != described(second):
            raise _refusal(first.name)
    if len(model.graph.node) != len(other.graph.node) or len(model.graph.initializer) != len(other.graph.initializer):
        raise _refusal("a node")


def _multiples(name: str, array: np.ndarray, changed: np.ndarray, sizes: tuple[int, int]) -> list[int]:
    """For each value, the factor by which it is a multiple of the batch; 0 if it does not depend on the batch."""
    if array.ndim != 1 or array.shape != changed.shape:
        raise _refusal(name)
    multiples = []
    for value, other in zip(array.tolist(), changed.tolist(), strict=True):
        factor = (other - value) // (sizes[1] - sizes[0])
        if factor and (factor * sizes[0], factor * sizes[1]) != (value, other):
            raise _refusal(name)
        multiples.append(factor)
    return multiples


def _computed(name: str, array: np.ndarray, multiples: list[int]) -> list[onnx.NodeProto]:
    """Nodes that compute the sizes ``name`` from the batch."""
    nodes: list[onnx.NodeProto] = []
    parts = []
    for index, (value, factor) in enumerate(zip(array.tolist(), multiples, strict=True)):
        if factor == 1:
            parts.append(_BATCH)
            continue
        constant = f"{name}.size{index}"
        tensor = helper.make_tensor(constant, TensorProto.INT64, [1], [factor or value])
        nodes.append(helper.make_node("Constant", [], [constant], name=constant, value=tensor))
        if factor:
            nodes.append(helper.make_node("Mul", [_BATCH, constant], [f"{constant}.batch"], name=f"{constant}.batch"))
        parts.append(f"{constant}.batch" if factor else constant)
    return [*nodes, helper.make_node("Concat", parts, [name], name=name, axis=0)]


def _refusal(name: str) -> ExportError:
    return ExportError(
        f"{name} depends on the batch size in a way that can't be written; leave out --dynamic-batch, or write this "
        "layer without the batch size"
    )
