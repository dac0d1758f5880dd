"""Decides where a network computes in integers, and rounds its weights to integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from nas.errors import ExportError
from nas.export.folding import Folded, FoldedWeights
from nas.export.onnx_graph import Integers
from nas.graph.tracing import TracedGraph, TracedNode
from nas.ops.identity import IdentityOp
from nas.quantization.scheme import Scheme, scheme_of
from nas.quantization.steps import Steps, weight_groups, weight_steps

#: Number of steps that the bias of a channel without weights is rounded to.
BIAS_STEPS = 2**20
#: A smaller scale would not be a normal float32 number after multiplication with the scale of an input.
SMALLEST_SCALE = 1e-30


@dataclass(frozen=True)
class IntegerPlan:
    """Which values are u8. All positions are those of nodes that emit a value of the file (``owner``)."""

    #: For each node, the node that emits its ONNX value: itself, or an earlier node if it emits nothing.
    owner: Sequence[int]
    #: Weighted nodes that compute in 8 bits.
    layers: frozenset[int]
    #: Values that are rounded to u8.
    values: frozenset[int]
    #: Value that has the scale of its input → that input.
    same_as: Mapping[int, int]
    #: Value → the node that has this value as its output in torch.
    observed: Mapping[int, int]
    #: Value with a scale of its own → how the scale is found: the scheme of the first 8-bit layer that reads the value,
    #: or otherwise of the last 8-bit layer before it.
    schemes: Mapping[int, Scheme]
    #: Weighted nodes with more than 8 bits whose inputs and outputs are u8 values.
    enclosed: Sequence[int]


def plan_integers(graph: TracedGraph, folded: Folded, bits: Mapping[str, int]) -> IntegerPlan:
    """Decide which values are u8, so that runtimes fuse whole chains into integer kernels.

    An 8-bit layer reads u8 and writes u8, after the activation that is fused into it. A call between u8 values that has
    an integer kernel also writes u8. A linear layer at the end of the network writes floats.
    """
    owner = _owners(graph, folded)
    eight = frozenset(
        index for index, node in enumerate(graph.nodes) if _is_weighted(node) and bits.get(node.path, 32) == 8
    )
    users = _emitted_users(graph, owner)
    needed = {owner[graph.nodes[index].inputs[0]] for index in eight}
    read = _read_by_integers(graph, users, eight)
    values: set[int] = set()
    deferred: set[int] = set()
    same_as: dict[int, int] = {}
    for index, node in enumerate(graph.nodes):
        if owner[index] != index:
            continue
        behaviour = node.op.integer(node.call) if node.op is not None else "float"
        sources = [owner[source] for source in node.inputs]
        between = index in read and bool(sources) and all(source in values for source in sources)
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
    enclosed = [
        index
        for index, node in enumerate(graph.nodes)
        if _is_weighted(node) and index not in eight and owner[node.inputs[0]] in values
        if _is_rounded_later(graph, index, users, values)
    ]
    schemes = _schemes(graph, owner, eight, [index for index in sorted(values) if index not in same_as], same_as)
    return IntegerPlan(owner, eight, frozenset(values), same_as, observed, schemes, enclosed)


def halved(weight: np.ndarray, name: str) -> np.ndarray:
    """Round weights to 16 bits.

    Raises:
        ExportError: a weight is too large for 16 bits.
    """
    with np.errstate(over="ignore"):
        found = weight.astype(np.float16)
    if np.isfinite(weight).all() and not np.isfinite(found).all():
        largest = float(np.abs(weight).max())
        raise ExportError(f"{name} has a weight of {largest:.3g}; 16 bits end at 65504: choose 32 bits for it")
    return found


def quantize_weight(
    layer: FoldedWeights, bits: int, scheme: Scheme, *, smallest_scale: np.ndarray | None = None
) -> Integers:
    """Round weights to integers of 8 or 4 bits, with a scale for each output channel or block.

    Args:
        layer: the weights as they ship.
        bits: 8 or 4.
        scheme: the scheme of the site.
        smallest_scale: smallest allowed scale of each output channel, ``(O,)``.
    """
    weight = torch.from_numpy(layer.weight)
    groups = weight_groups(weight, scheme, bits)
    steps = weight_steps(groups, bits, scheme)
    if smallest_scale is not None:
        floor = torch.from_numpy(smallest_scale).float().reshape(-1, 1, 1)
        steps = replace(steps, scale=torch.maximum(steps.scale, floor))
    integers = steps.integers(groups).flatten(1)
    per_channel = groups.shape[1] == 1
    shape = layer.weight.shape if per_channel else integers.shape
    scale, zero_point = (tensor.squeeze(2) for tensor in (steps.scale, steps.zero_point))
    if per_channel:
        scale, zero_point = scale.squeeze(1), zero_point.squeeze(1)
    return Integers(
        integers.reshape(shape).numpy().astype(np.int8),
        scale.numpy(),
        zero_point.numpy().astype(np.int8),
        original=layer.weight,
        bits=bits,
        block_size=None if per_channel else groups.shape[2],
    )


def quantize_layer(layer: FoldedWeights, inputs: Steps, scheme: Scheme) -> tuple[Integers, Integers | None]:
    """Round weights to s8 per output channel, and the bias to int32 with the product of both scales."""
    if layer.bias is None:
        return quantize_weight(layer, 8, scheme), None
    # If a channel has tiny weights and a large bias, its scale must be large enough for the bias to fit 32 bits.
    smallest = np.abs(layer.bias) / (float(inputs.scale) * 2**30)
    weight = quantize_weight(layer, 8, scheme, smallest_scale=smallest)
    weight = replace(weight, scale=_scale_of_bias(weight, layer.bias, float(inputs.scale)))
    scale = (weight.scale * inputs.scale.numpy()).astype(np.float32)
    bias = np.rint(layer.bias / scale.astype(np.float64)).astype(np.int32)
    return weight, Integers(bias, scale, np.zeros(len(scale), dtype=np.int32), original=layer.bias, bits=32)


def _scale_of_bias(weight: Integers, bias: np.ndarray, input_scale: float) -> np.ndarray:
    """The scales of the weights, with a fine scale for channels that have a bias only: any scale represents zeros."""
    empty = ~np.any(weight.original, axis=tuple(range(1, weight.original.ndim)))
    fine = np.abs(bias) / (input_scale * BIAS_STEPS)
    return np.where(empty & (fine > 0), np.maximum(fine, SMALLEST_SCALE), weight.scale).astype(np.float32)


def _schemes(
    graph: TracedGraph,
    owner: Sequence[int],
    eight: frozenset[int],
    own: Sequence[int],
    same_as: Mapping[int, int],
) -> dict[int, Scheme]:
    readers: dict[int, Scheme] = {}
    for index in sorted(eight):
        source = owner[graph.nodes[index].inputs[0]]
        while source in same_as:
            source = same_as[source]
        readers.setdefault(source, scheme_of(graph.nodes[index].call.module))
    found, last = {}, Scheme()
    for index in range(len(graph.nodes)):
        if index in eight:
            last = scheme_of(graph.nodes[index].call.module)
        if index in own:
            found[index] = readers.get(index, last)
    return found


def _owners(graph: TracedGraph, folded: Folded) -> list[int]:
    owner: list[int] = []
    for index, node in enumerate(graph.nodes):
        passes_on = index in folded.norms or isinstance(node.op, IdentityOp)
        owner.append(owner[node.inputs[0]] if passes_on else index)
    return owner


def _emitted_users(graph: TracedGraph, owner: Sequence[int]) -> list[list[int]]:
    """Positions of the users of each ONNX value; an output of the network counts as a user at ``len(nodes)``."""
    users: list[list[int]] = [[] for _ in graph.nodes]
    for index, node in enumerate(graph.nodes):
        if owner[index] == index:
            for source in node.inputs:
                users[owner[source]].append(index)
    for output in graph.outputs:
        users[owner[output]].append(len(graph.nodes))
    return users


def _is_weighted(node: TracedNode) -> bool:
    return node.op is not None and node.op.integer(node.call) == "weights"


def _read_by_integers(graph: TracedGraph, users: Sequence[Sequence[int]], eight: frozenset[int]) -> set[int]:
    """Values that reach an 8-bit layer through calls that have integer kernels only; rounding others gains nothing.

    In addition, OpenVINO crashes on a rounded concatenation that float layers read.
    """
    read: set[int] = set()
    for index in range(len(graph.nodes) - 1, -1, -1):
        following = [user for user in users[index] if user < len(graph.nodes)]
        if any(user in eight or (user in read and _passes_integers(graph.nodes[user])) for user in following):
            read.add(index)
    return read


def _passes_integers(node: TracedNode) -> bool:
    return node.op is not None and node.op.integer(node.call) in ("same", "own", "fused")


def _fuses_next(graph: TracedGraph, users: Sequence[int]) -> bool:
    if len(users) != 1 or users[0] == len(graph.nodes):
        return False
    following = graph.nodes[users[0]]
    return following.op is not None and following.op.integer(following.call) == "fused"


def _is_rounded_later(graph: TracedGraph, index: int, users: Sequence[Sequence[int]], values: set[int]) -> bool:
    """Whether the value is rounded after calls that only move it or are fused."""
    while index not in values:
        following = users[index]
        if len(following) != 1 or following[0] == len(graph.nodes):
            return False
        index = following[0]
        op = graph.nodes[index].op
        if op is None or op.integer(graph.nodes[index].call) not in ("fused", "same"):
            return False
    return True


def _ends_in_floats(graph: TracedGraph, index: int, users: Sequence[int]) -> bool:
    """Whether this is a linear layer at the end: its integer kernel can write floats, so the output is not rounded."""
    return isinstance(graph.nodes[index].call.module, nn.Linear) and list(users) == [len(graph.nodes)]
