"""Metrics that are counted of a finished network, the same on every target.

The functions import what they count with when they are called: it imports torch, and pages and the command line ask for
the names only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas.graph.identity import TracedGraph
    from nas.space import Network


def _parameters(graph: TracedGraph, network: Network) -> float:
    from nas.graph.identity import count_parameters

    return count_parameters(network.model)


def _nonzero_parameters(graph: TracedGraph, network: Network) -> float:
    from nas.sparsity.nonzeros import nonzero_parameters

    return nonzero_parameters(graph)


def _nonzero_bytes(graph: TracedGraph, network: Network) -> float:
    from nas.sparsity.nonzeros import nonzero_bytes

    return nonzero_bytes(graph, network.bits)


def _macs(graph: TracedGraph, network: Network) -> float:
    return sum(node.macs for node in graph.nodes)


#: Metric → how it is counted. Its unit is the end of its name: ``trials.reporting.labels.UNITS``.
COUNTED: Mapping[str, Callable[[TracedGraph, Network], float]] = {
    "parameters": _parameters,
    "nonzero_parameters": _nonzero_parameters,
    "nonzero_bytes": _nonzero_bytes,
    "macs": _macs,
}


def static_metric_names() -> list[str]:
    """Metrics that every candidate has, whatever the target: what is counted, and the size of its file."""
    return [*COUNTED, "size_bytes"]
