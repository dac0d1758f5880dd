"""Order of networks by several objectives and limits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nas.strategies import Goal, Observation
from nas.strategies.pareto import Floats, pareto_front, to_losses

Ranks = npt.NDArray[np.int64]


def violation(observation: Observation) -> float:
    """Sum of the relative violations of all limits; 0 for a feasible network.

    An infeasible network that keeps all limits was rejected for another reason, which counts as a violation of 1.
    """
    if observation.state != "infeasible":
        return 0.0
    return sum(max(0.0, value) for value in observation.violations.values()) or 1.0


def losses_of(observations: Sequence[Observation], goal: Goal) -> Floats:
    """Objectives of n complete networks, ``(n, m)``; smaller is better."""
    points = [[item.values[name] for name in goal.objectives] for item in observations]
    return to_losses(points, list(goal.objectives.values()))


def constrained_ranks(observations: Sequence[Observation], goal: Goal) -> Ranks:
    """Ranks of n complete or infeasible networks, ``(n,)``; 0 is the best.

    Complete networks come first: the Pareto front has rank 0, the front of all others rank 1, and so on. Infeasible
    networks follow in the order of their violations (Deb et al. 2002).
    """
    violations = np.array([violation(item) for item in observations])
    ranks = np.zeros(len(observations), dtype=np.int64)
    left = np.flatnonzero(violations == 0)
    losses = losses_of([item for item in observations if item.state == "complete"], goal)
    rank = 0
    while len(left):
        front = pareto_front(losses, ["minimize"] * losses.shape[1])
        ranks[left[front]] = rank
        left, losses = np.delete(left, front), np.delete(losses, front, axis=0)
        rank += 1
    infeasible = violations > 0
    _, order = np.unique(violations[infeasible], return_inverse=True)
    ranks[infeasible] = rank + order.reshape(-1)
    return ranks


def crowding_distances(losses: Floats) -> Floats:
    """Crowding distance of each of n networks of one front, ``(n,)``; a larger one means fewer similar networks.

    It is the sum, over the objectives, of the distance between the next worse and the next better network, relative to
    the range of the front; it is infinite for the extremes of an objective (Deb et al. 2002).

    Args:
        losses: objectives ``(n, m)``.
    """
    total = np.zeros(len(losses))
    for column in losses.T:
        order = np.argsort(column, kind="stable")
        sorted_column = column[order]
        span = float(np.ptp(sorted_column)) or 1.0
        total[order[1:-1]] += (sorted_column[2:] - sorted_column[:-2]) / span
        total[order[[0, -1]]] = np.inf
    return total
