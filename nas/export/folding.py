"""Folding: scales and shifts of channels become part of the weights and biases of convolutions and linear layers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from nas.graph.tracing import TracedGraph, TracedNode
from nas.ops import Affine, Weights
from nas.ops.arrays import as_array
from nas.ops.conv import padding


@dataclass(frozen=True)
class FoldedWeights:
    """Weights as they ship, ``(output channels, …)``."""

    weight: np.ndarray
    bias: np.ndarray | None


@dataclass(frozen=True)
class Folded:
    """The result of folding a graph."""

    #: Position of a weighted node → its weights.
    layers: Mapping[int, FoldedWeights]
    #: Position of a folded batch norm or layer scale → position of the layer it was folded into.
    norms: Mapping[int, int]
    #: Positions of calls whose last shift was folded into the bias of the next layer.
    shifted: frozenset[int]


def fold(graph: TracedGraph, bits: Mapping[str, int], *, shifts: bool = True) -> Folded:
    """Fold a graph: the weights of every weighted call as they ship.

    Affine calls that follow a weighted call, each as the only user of the value before it, are folded into its weights.
    The last shift of a call is folded into the bias of the next weighted call, if that is the only user of its output
    and computes in floats; 8-bit layers are calibrated on the shifted values. Without ``shifts``, they are not folded.
    """
    users = graph.users()
    layers: dict[int, FoldedWeights] = {}
    norms: dict[int, int] = {}
    for index, node in enumerate(graph.nodes):
        weights = node.op.weights(node.call) if node.op is not None else None
        if weights is None:
            continue
        layer = FoldedWeights(as_array(weights.weight), None if weights.bias is None else as_array(weights.bias))
        for place, affine in _affines_behind(graph, users, index, weights):
            layer = _scaled(layer, affine)
            norms[place] = index
        layers[index] = layer
    shifted = frozenset(_shift_biases(graph, users, layers, bits) if shifts else ())
    return Folded(layers, norms, shifted)


def _affines_behind(
    graph: TracedGraph, users: Sequence[Sequence[int]], index: int, weights: Weights
) -> Iterator[tuple[int, Affine]]:
    """Affine calls on the output channels that follow one another, each as the only user of the value before it."""
    while (place := _only_user(graph, users, index)) is not None:
        node = graph.nodes[place]
        constants = [
            graph.tensor(source) if graph.nodes[source].kind == "attribute" else None for source in node.inputs
        ]
        affine = node.op.affine(node.call, constants) if node.op is not None else None
        if affine is None or affine.axis != weights.axis:
            return
        yield place, affine
        index = place


def _only_user(graph: TracedGraph, users: Sequence[Sequence[int]], index: int) -> int | None:
    following = users[index]
    return following[0] if len(following) == 1 and following[0] < len(graph.nodes) else None


def _scaled(layer: FoldedWeights, affine: Affine) -> FoldedWeights:
    scale, shift = affine.scale.numpy(), affine.shift.numpy()
    weight = layer.weight * scale.reshape(-1, *[1] * (layer.weight.ndim - 1))
    return FoldedWeights(weight, shift if layer.bias is None else layer.bias * scale + shift)


def _shift_biases(
    graph: TracedGraph,
    users: Sequence[Sequence[int]],
    layers: dict[int, FoldedWeights],
    bits: Mapping[str, int],
) -> Iterator[int]:
    """Fold last shifts into the biases of ``layers``, in place; returns the positions of the calls they are from."""
    for index, node in enumerate(graph.nodes):
        shift = node.op.last_shift(node.call) if node.op is not None else None
        place = _only_user(graph, users, index)
        if shift is None or place not in layers or bits.get(graph.nodes[place].path, 32) != 32:
            continue
        layer = layers[place]
        if _is_pointwise(graph.nodes[place], layer, len(shift)):
            # The layer's weight already contains folded scales, and the product with the shift then contains them too.
            moved = layer.weight.reshape(len(layer.weight), -1) @ as_array(shift)
            layers[place] = FoldedWeights(layer.weight, moved if layer.bias is None else layer.bias + moved)
            yield index


def _is_pointwise(node: TracedNode, layer: FoldedWeights, channels: int) -> bool:
    """Whether each output pixel depends on all channels of exactly one input pixel, and never on padding."""
    module = node.call.module
    if isinstance(module, nn.Conv2d):
        return math.prod(module.kernel_size) == module.groups == 1 and not any(padding(node.call))
    return isinstance(module, nn.Linear) and layer.weight.shape[1] == channels
