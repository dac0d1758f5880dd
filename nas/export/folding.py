"""Batch normalisation folded into the weighted call before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nas.export.onnx_graph import as_array
from nas.ops import Weights
from nas.ops.norm import BatchNorm, BatchNormOp, as_scale_and_shift, eps, operands, scale_and_shift
from nas.space.tracing import TracedGraph, TracedNode


@dataclass(frozen=True)
class Layer:
    """Weights as they ship, output channels first."""

    weight: np.ndarray
    bias: np.ndarray | None


@dataclass(frozen=True)
class Folded:
    """What folding found."""

    #: Position of a weighted node → its weights.
    layers: Mapping[int, Layer]
    #: Position of a batch norm that is gone → the layer it went into.
    norms: Mapping[int, int]


def fold(graph: TracedGraph) -> Folded:
    """Weights of every weighted call as they ship, with the batch norm that alone uses its output."""
    users = graph.users()
    layers: dict[int, Layer] = {}
    norms: dict[int, int] = {}
    for index, node in enumerate(graph.nodes):
        weights = node.op.weights(node.call) if node.op is not None else None
        if weights is None:
            continue
        weight, bias = as_array(weights.weight), None if weights.bias is None else as_array(weights.bias)
        following = users[index]
        norm = graph.nodes[following[0]] if len(following) == 1 and following[0] < len(graph.nodes) else None
        if norm is not None and _folds(graph, weights, norm):
            layers[index] = _folded(weight, bias, *_scale_and_shift(graph, norm))
            norms[following[0]] = index
        else:
            layers[index] = Layer(weight, bias)
    return Folded(layers, norms)


def _folds(graph: TracedGraph, weights: Weights, norm: TracedNode) -> bool:
    # Batch norm takes the second dimension for channels: of tokens (N, L, C) it is none.
    constant = all(graph.nodes[source].kind == "attribute" for source in norm.inputs[1:])
    return isinstance(norm.op, BatchNormOp) and constant and weights.axis == 1


def _scale_and_shift(graph: TracedGraph, norm: TracedNode) -> tuple[np.ndarray, np.ndarray]:
    module = norm.call.module
    if isinstance(module, BatchNorm):
        scale, shift = scale_and_shift(module)
    else:
        tensors = {name: graph.tensor(norm.inputs[item.index]) for name, item in operands(norm.call).items()}
        scale, shift = as_scale_and_shift(**tensors, eps=eps(norm.call))
    return scale.numpy(), shift.numpy()


def _folded(weight: np.ndarray, bias: np.ndarray | None, scale: np.ndarray, shift: np.ndarray) -> Layer:
    scaled = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    return Layer(scaled, shift if bias is None else bias * scale + shift)
