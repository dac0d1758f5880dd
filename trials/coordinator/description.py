"""Describe a sampled network: features for strategies, and its row in the tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from nas.graph.identity import layers_of
from nas.graph.tracing import TracedGraph
from nas.seeds import generator_seed
from nas.space import Network
from nas.space.chooser import Chooser, PartialChooser
from nas.strategies import Suggestion
from trials.coordinator.targets.other_targets import OtherTargets
from trials.plans.problem import Problem
from trials.store.records import ArchitectureValue


@dataclass(frozen=True)
class Sampled:
    """A network on the meta device, traced at most once before it is described."""

    problem: Problem
    network: Network
    suggestion: Suggestion
    other_targets: OtherTargets

    @cached_property
    def features(self) -> Mapping[str, float]:
        """See ``nas.strategies.Described``; parameters and multiply-accumulates (MACs) as logarithms."""
        return {**self._own_features, **self.other_targets.features(self.suggestion, self._own_features)}

    @cached_property
    def _own_features(self) -> Mapping[str, float]:
        """Features of the network that do not depend on earlier studies."""
        rows = layers_of(self._graph, self.network.bits)
        counts = Counter(f"number of {row['op']}" for row in rows)
        macs = Counter[str]()
        for row in rows:
            macs[f"MACs in {row['bits']} bits"] += row["macs"]
        weighted = sum(row["parameters"] > 0 for row in rows)
        return {
            **{name: float(count) for name, count in counts.items()},
            **{name: math.log1p(count) for name, count in macs.items()},
            "layers with weights": float(weighted),
            "MACs": math.log1p(sum(macs.values())),
            "parameters": math.log1p(sum(row["parameters"] for row in rows)),
            **self.network.account(),
        }

    def described(self) -> ArchitectureValue:
        """Return its row: the identity of the network to train, and the layers of the finished network."""
        return describe(self.problem, self.network, self._graph)

    @cached_property
    def _graph(self) -> TracedGraph:
        return self.problem.trace(self.network)


def sample(problem: Problem, other_targets: OtherTargets, chooser: Chooser) -> Sampled:
    """Return the network that a chooser's answers define."""
    network = problem.searched.sample(chooser)
    return Sampled(problem, network, Suggestion.from_chooser(0, chooser), other_targets)


def enqueued_suggestion(
    problem: Problem, other_targets: OtherTargets, choices: Mapping[str, Any], number: int
) -> tuple[Suggestion, Sampled]:
    """Return the suggestion of a candidate that was enqueued by hand; missing answers are random, from the seed."""
    chooser = PartialChooser(choices, generator_seed("enqueued", problem.plan.seed, number))
    sampled = sample(problem, other_targets, chooser)
    return replace(Suggestion.from_chooser(number, chooser), enqueued=True), sampled


def describe(problem: Problem, network: Network, graph: TracedGraph | None = None) -> ArchitectureValue:
    """Return the row of a network: the identity of the network to train, and the layers of the finished network.

    Args:
        problem: the study's problem.
        network: the network; it is finalized by this call if policies act on it.
        graph: graph of the network, if it is already traced.
    """
    graph = graph or problem.trace(network)
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
