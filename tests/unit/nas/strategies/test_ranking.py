"""Order of networks: by fronts, crowding and violations."""

from __future__ import annotations

import numpy as np

from nas.strategies import Goal, Observation, Suggestion
from nas.strategies.ranking import constrained_ranks, crowding_distances, violation

GOAL = Goal({"accuracy": "maximize", "cost": "minimize"}, {})


def complete(accuracy: float, cost: float) -> Observation:
    return Observation(Suggestion(0, (), {}), "complete", {"accuracy": accuracy, "cost": cost})


def infeasible(**violations: float) -> Observation:
    return Observation(Suggestion(0, (), {}), "infeasible", {}, violations)


def test_fronts_come_one_after_another_and_then_the_smallest_violations() -> None:
    networks = [
        complete(0.9, 5.0),
        infeasible(cost=0.5),
        complete(0.8, 5.0),
        infeasible(cost=0.1, macs=0.2),
        complete(0.7, 1.0),
        complete(0.7, 6.0),
        infeasible(cost=0.5),
    ]
    assert constrained_ranks(networks, GOAL).tolist() == [0, 4, 1, 3, 0, 2, 4]


def test_only_broken_limits_count_as_violation() -> None:
    assert violation(infeasible(cost=0.5, macs=-3.0, bytes=0.25)) == 0.75
    assert violation(infeasible(cost=-0.5)) == 1.0
    assert violation(complete(0.9, 5.0)) == 0.0


def test_extremes_are_least_crowded() -> None:
    losses = np.array([[0.0, 4.0], [1.0, 3.0], [1.5, 2.0], [4.0, 0.0]])
    assert crowding_distances(losses).tolist() == [np.inf, 1.5 / 4 + 2 / 4, 3 / 4 + 3 / 4, np.inf]
    assert crowding_distances(losses[:1]).tolist() == [np.inf]
