"""A sampled network as its row in the tables."""

from __future__ import annotations

from nas.graph.identity import layers_of
from nas.space import Network
from trials.plans.problem import Problem
from trials.store.records import ArchitectureValue


def describe(problem: Problem, network: Network) -> ArchitectureValue:
    """Its identity as it is trained, its layers as they ship."""
    graph = problem.trace(network)
    identity = problem.identity_of(graph, network)
    if network.policies:
        network.finalize()
        graph = problem.trace(network)
    rows = layers_of(graph, network.bits)
    return ArchitectureValue(
        identity=identity,
        space=problem.plan.space.name,
        definition=network.architecture.to_json(),
        parameters=sum(row["parameters"] for row in rows),
        macs=sum(row["macs"] for row in rows),
        layers=rows,
    )
