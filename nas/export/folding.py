"""Batch normalisation folded into the convolution or linear layer before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import nn

from nas.export.onnx_graph import as_array
from nas.ops.norm import scale_and_shift
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
    """Weights of every convolution and linear layer, with the batch norm that alone uses its output."""
    users = graph.users()
    layers: dict[int, Layer] = {}
    norms: dict[int, int] = {}
    for index, node in enumerate(graph.nodes):
        module = node.call.module
        if not isinstance(module, nn.Conv2d | nn.Linear) or node.op is None:
            continue
        weight, bias = as_array(module.weight), None if module.bias is None else as_array(module.bias)
        following = users[index]
        norm = graph.nodes[following[0]] if len(following) == 1 and following[0] < len(graph.nodes) else None
        if norm is not None and _folds(node, norm):
            layers[index] = _folded(weight, bias, norm)
            norms[following[0]] = index
        else:
            layers[index] = Layer(weight, bias)
    return Folded(layers, norms)


def _folds(layer: TracedNode, norm: TracedNode) -> bool:
    if norm.op is None:
        return False
    if isinstance(layer.call.module, nn.Conv2d):
        return isinstance(norm.call.module, nn.BatchNorm2d)
    # Of tokens (N, L, C) batch norm takes the second dimension for channels.
    return isinstance(norm.call.module, nn.BatchNorm1d) and len(layer.call.output_shape) == 2


def _folded(weight: np.ndarray, bias: np.ndarray | None, norm: TracedNode) -> Layer:
    module = norm.call.module
    assert isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)
    scale, shift = (tensor.numpy() for tensor in scale_and_shift(module))
    scaled = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    return Layer(scaled, shift if bias is None else bias * scale + shift)
