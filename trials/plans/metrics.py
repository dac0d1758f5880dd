"""Metrics that are counted of a finished network, the same on every target."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nas.graph.identity import TracedGraph, count_parameters
from nas.space import Network
from nas.sparsity.nonzeros import nonzero_bytes, nonzero_parameters

#: Metric → how it is counted. Its unit is the end of its name: ``trials.reporting.labels.UNITS``.
COUNTED: Mapping[str, Callable[[TracedGraph, Network], float]] = {
    "parameters": lambda graph, network: count_parameters(network.model),
    "nonzero_parameters": lambda graph, network: nonzero_parameters(graph),
    "nonzero_bytes": lambda graph, network: nonzero_bytes(graph, network.bits),
    "macs": lambda graph, network: sum(node.macs for node in graph.nodes),
}


def static_metric_names() -> list[str]:
    """Metrics that every candidate has, whatever the target: what is counted, and the size of its file."""
    return [*COUNTED, "size_bytes"]
