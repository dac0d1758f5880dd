"""How many numbers a network needs if zeros cost nothing."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from nas.graph.identity import count_parameters
from nas.graph.tracing import TracedGraph, TracedNode
from nas.ops import Weights


def nonzero_parameters(graph: TracedGraph) -> int:
    """Parameters without the zeros of weights as they ship; biases and norms count whole."""
    return count_parameters(graph.model) - sum(_zeros(weight) for weight in _weights(graph).values())


def nonzero_bytes(graph: TracedGraph, bits: Mapping[str, int]) -> int:
    """What these take, weights by their bits, the rest at 32: a format whose indices are free.

    ``bits`` is module path → bits, 32 where missing. The file that ships may be larger; ``size_bytes`` is its size.
    """
    weights = {path: weight.numel() - _zeros(weight) for path, weight in _weights(graph).items()}
    rest = nonzero_parameters(graph) - sum(weights.values())
    return -(-(32 * rest + sum(bits.get(path, 32) * count for path, count in weights.items())) // 8)


def _weights(graph: TracedGraph) -> dict[str, Tensor]:
    """Module path → weight as it ships; one that calls or layers share comes once."""
    found = {node.path: node.op.weights(node.call) for node in graph.nodes if node.op is not None and node.path}
    for node in graph.nodes:
        found |= {path: Weights(layer.weight, None, 0) for path, layer in _past_ops(graph, node).items()}
    once = {id(weights.weight): (path, weights.weight) for path, weights in reversed(found.items()) if weights}
    return dict(once.values())


def _past_ops(graph: TracedGraph, node: TracedNode) -> dict[str, nn.Conv2d | nn.Linear]:
    """Layers that compute in a node without op, or whose weight is read past them."""
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
