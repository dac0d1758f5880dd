"""Layers as deployed: batch norm folded into the convolution before it."""

from __future__ import annotations

from torch import fx, nn

from nas.export.onnx_graph import LayerWeights
from nas.ops.norm import scale_and_shift
from nas.space.graph import TracedGraph


def deployed_weights(graph: TracedGraph) -> tuple[dict[str, LayerWeights], set[fx.Node]]:
    """Module path → weights of every convolution and linear layer, and the batch norms folded into them."""
    weights: dict[str, LayerWeights] = {}
    folded: set[fx.Node] = set()
    for call in graph.calls:
        layer = call.module
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        weight = layer.weight.detach()
        bias = None if layer.bias is None else layer.bias.detach()
        norm = _following_norm(graph, call.node) if isinstance(layer, nn.Conv2d) else None
        if norm is not None:
            scale, shift = scale_and_shift(norm[1])
            weight = weight * scale.view(-1, 1, 1, 1)
            bias = shift if bias is None else bias * scale + shift
            folded.add(norm[0])
        weights[graph.path(call)] = LayerWeights(weight.cpu(), None if bias is None else bias.cpu())
    return weights, folded


def _following_norm(graph: TracedGraph, node: fx.Node) -> tuple[fx.Node, nn.BatchNorm2d] | None:
    """The batch norm that alone uses a convolution's output; a convolution that is called twice keeps its own."""
    calls = [other for other in graph.calls if other.node.target == node.target]
    users = list(node.users)
    if len(calls) != 1 or len(users) != 1 or users[0].op != "call_module":
        return None
    module = graph.module.get_submodule(str(users[0].target))
    return (users[0], module) if isinstance(module, nn.BatchNorm2d) else None
