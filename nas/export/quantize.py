"""Where a network computes in integers, and the integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from nas.export.folding import Folded, Layer
from nas.export.onnx_graph import QuantizedTensor
from nas.ops.identity import IdentityOp
from nas.space.tracing import TracedGraph

#: Weights use 7 of 8 bits: x86 without VNNI adds two u8 × s8 products in 16 bits, which full weights
#: overflow.
WEIGHT_LIMIT = 64
FULL_WEIGHT_LIMIT = 127


@dataclass(frozen=True)
class Scale:
    """Asymmetric u8: ``value = (integer - zero_point) * scale``."""

    scale: np.float32
    zero_point: np.uint8

    @classmethod
    def of_range(cls, low: float, high: float) -> Scale:
        """The scale whose 256 steps span ``low`` … ``high`` and hit zero exactly."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = np.float32((high - low) / 255.0)
        if not scale > 1e-30:
            return cls(np.float32(1.0), np.uint8(0))
        return cls(scale, np.uint8(np.clip(round(-low / float(scale)), 0, 255)))


@dataclass(frozen=True)
class IntegerPlan:
    """Which values are u8. Positions are those of nodes that emit something (``owner``)."""

    #: For each node, the one whose ONNX value it has.
    owner: Sequence[int]
    #: Weighted nodes that compute with 8 bits.
    layers: frozenset[int]
    #: Values that are rounded to u8.
    values: frozenset[int]
    #: Value that keeps its input's scale → the value it has it from.
    same_as: Mapping[int, int]
    #: Value → the node whose output it is in torch.
    observed: Mapping[int, int]


def plan_integers(graph: TracedGraph, folded: Folded, bits: Mapping[str, int]) -> IntegerPlan:
    """Decide which values are u8 so that runtimes fuse whole chains into integer kernels.

    An 8-bit layer reads u8 and writes u8, after the activation that disappears into it; what lies between u8
    values and has an integer kernel stays u8; a linear layer that is the end of the network writes floats.
    """
    owner = _owners(graph, folded)
    eight = frozenset(
        index
        for index, node in enumerate(graph.nodes)
        if node.op is not None and node.op.integer(node.call) == "weights" and bits.get(node.path, 32) == 8
    )
    users = _emitted_users(graph, owner)
    needed = {owner[graph.nodes[index].inputs[0]] for index in eight}
    values: set[int] = set()
    deferred: set[int] = set()
    same_as: dict[int, int] = {}
    for index, node in enumerate(graph.nodes):
        if owner[index] != index:
            continue
        behaviour = node.op.integer(node.call) if node.op is not None else "float"
        sources = [owner[source] for source in node.inputs]
        between = bool(sources) and all(source in values for source in sources)
        computes = index in eight or (behaviour == "own" and between)
        continues = behaviour == "fused" and sources[0] in deferred
        if (computes or continues) and _fuses_next(graph, users[index]):
            deferred.add(index)
        elif index in eight and _ends_in_floats(graph, index, users[index]):
            continue
        elif behaviour == "same" and between:
            values.add(index)
            same_as[index] = sources[0]
        elif computes or continues or index in needed:
            values.add(index)
    observed = {index: index for index in range(len(graph.nodes))} | {
        layer: norm for norm, layer in folded.norms.items()
    }
    return IntegerPlan(owner, eight, frozenset(values), same_as, observed)


def quantize_layer(layer: Layer, inputs: Scale, *, limit: int) -> tuple[QuantizedTensor, QuantizedTensor | None]:
    """Weights as symmetric s8 per output channel within ``±limit``, bias as int32 in steps of both scales."""
    rows = layer.weight.reshape(layer.weight.shape[0], -1)
    scale = np.abs(rows).max(axis=1) / limit
    if layer.bias is not None:
        # A channel of tiny weights and a real bias: its steps must be large enough for the bias to fit 32
        # bits.
        scale = np.maximum(scale, np.abs(layer.bias) / (float(inputs.scale) * 2**30))
    scale = np.where(scale > 1e-30, scale, 1.0).astype(np.float32)
    column = scale.reshape(-1, *[1] * (layer.weight.ndim - 1))
    integers = np.clip(np.rint(layer.weight / column), -limit, limit).astype(np.int8)
    weight = QuantizedTensor(integers, scale, layer.weight)
    if layer.bias is None:
        return weight, None
    bias_scale = (scale * inputs.scale).astype(np.float32)
    bias = np.rint(layer.bias / bias_scale.astype(np.float64)).astype(np.int32)
    return weight, QuantizedTensor(bias, bias_scale, layer.bias)


def _owners(graph: TracedGraph, folded: Folded) -> list[int]:
    owner: list[int] = []
    for index, node in enumerate(graph.nodes):
        passes_on = index in folded.norms or isinstance(node.op, IdentityOp)
        owner.append(owner[node.inputs[0]] if passes_on else index)
    return owner


def _emitted_users(graph: TracedGraph, owner: Sequence[int]) -> list[list[int]]:
    """Users of each ONNX value; an output of the network counts as ``len(nodes)``."""
    users: list[list[int]] = [[] for _ in graph.nodes]
    for index, node in enumerate(graph.nodes):
        if owner[index] == index:
            for source in node.inputs:
                users[owner[source]].append(index)
    for output in graph.outputs:
        users[owner[output]].append(len(graph.nodes))
    return users


def _fuses_next(graph: TracedGraph, users: Sequence[int]) -> bool:
    if len(users) != 1 or users[0] == len(graph.nodes):
        return False
    following = graph.nodes[users[0]]
    return following.op is not None and following.op.integer(following.call) == "fused"


def _ends_in_floats(graph: TracedGraph, index: int, users: Sequence[int]) -> bool:
    """Integer matrix products can write floats, which spares the network's answer a rounding."""
    return isinstance(graph.nodes[index].call.module, nn.Linear) and list(users) == [len(graph.nodes)]
