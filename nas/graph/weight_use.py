"""How a network uses the weights of its layers: by calling the layers, or by reading the weights directly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import fx
from torch.nn import functional as F

from nas.graph.tracing import TracedGraph
from nas.space.site import Site

_LAYER_FUNCTIONS = (F.conv2d, F.linear, torch.conv2d)


@dataclass(frozen=True)
class WeightUse:
    """How one weight is used."""

    #: Calls of layers that compute with it.
    layers: int = 0
    #: Calls of functions that compute what a layer computes: ``F.linear(x, layer.weight)``.
    functions: int = 0
    #: Other uses, such as its transpose, its norm or a sum.
    others: int = 0

    def restrict(self, site: Site) -> Site:
        """The site with the restrictions that this use imposes on policies.

        A weight that only other calls use would not keep its zeros, so it is dense. If several readers are not all
        calls of layers, or if a call of another kind reads the weight, only full precision is the same for all of them.
        """
        reads = self.layers + self.functions + self.others
        computed = self.layers + self.functions == 0 and self.others > 0
        apart = self.others > 0 or (self.functions > 0 and reads > 1)
        return replace(site, dense=site.dense or computed, full_precision=site.full_precision or apart)


def weight_uses(graph: TracedGraph) -> Mapping[int, WeightUse]:
    """``id`` of each tensor that is used → how it is used."""
    layers, functions, others = Counter[int](), Counter[int](), Counter[int]()
    for index, node in enumerate(graph.nodes):
        if node.kind == "attribute":
            for user in node.call.node.users:
                kind = functions if _computes_as_a_layer(user, node.call.node) else others
                kind[id(graph.tensor(index))] += 1
        elif node.call.module is not None and node.op is not None:
            layers.update(id(parameter) for parameter in node.call.module.parameters())
    return {key: WeightUse(layers[key], functions[key], others[key]) for key in layers | functions | others}


def _computes_as_a_layer(user: fx.Node, weight: fx.Node) -> bool:
    given = user.args[1] if len(user.args) > 1 else user.kwargs.get("weight")
    return user.op == "call_function" and user.target in _LAYER_FUNCTIONS and given is weight
