"""Numbers of parameters and bytes of a network, not counting zeros."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from nas.graph.identity import count_parameters
from nas.graph.tracing import TracedGraph, TracedNode
from nas.ops import Weights


def nonzero_parameters(graph: TracedGraph) -> int:
    """Number of parameters of the deployed network without the zeros of weights; biases and norms count in full."""
    return count_parameters(graph.model) - sum(_zeros(weight) for weight in _weights(graph).values())


def nonzero_bytes(graph: TracedGraph, bits: Mapping[str, int]) -> int:
    """Bytes of the non-zero parameters, without indices; the size of the exported file is ``size_bytes``.

    Args:
        graph: the network.
        bits: module path → bits of its weight, 32 where missing; other parameters have 32 bits.
    """
    weights = {path: weight.numel() - _zeros(weight) for path, weight in _weights(graph).items()}
    rest = nonzero_parameters(graph) - sum(weights.values())
    return -(-(32 * rest + sum(bits.get(path, 32) * count for path, count in weights.items())) // 8)


def _weights(graph: TracedGraph) -> dict[str, Tensor]:
    """Module path → deployed weight; a weight that several calls or layers share has one entry."""
    found = {node.path: node.op.weights(node.call) for node in graph.nodes if node.op is not None and node.path}
    for node in graph.nodes:
        found |= {path: Weights(layer.weight, None, 0) for path, layer in _past_ops(graph, node).items()}
    once = {id(weights.weight): (path, weights.weight) for path, weights in reversed(found.items()) if weights}
    return dict(once.values())


def _past_ops(graph: TracedGraph, node: TracedNode) -> dict[str, nn.Conv2d | nn.Linear]:
    """Layers inside a node without op, and layers whose weight a node reads directly."""
    if node.kind == "attribute":
        path, _, name = node.path.rpartition(".")
        modules = {path: graph.model.get_submodule(path)} if name == "weight" else {}
    elif node.op is None and node.call.module is not None:
        modules = dict(node.call.module.named_modules(prefix=node.path))
    else:
        modules = {}
    return {path: module for path, module in modules.items() if isinstance(module, nn.Conv2d | nn.Linear)}


def _zeros(weight: Tensor) -> int:
    return weight.numel() - int(weight.count_nonzero())
