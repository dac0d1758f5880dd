"""Compare imported networks with the front of a study."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trials.store.read.candidates import Value
from trials.store.read.points import Points


def dominating(front: Points, metrics: Mapping[str, Value]) -> list[int] | None:
    """Return the trials of a front that are at least as good in every objective and better in one.

    Args:
        front: the front, on its objectives.
        metrics: metrics of the network that is compared.

    Returns:
        Their numbers, or None if the network lacks an objective.
    """
    if any(name not in metrics for name in front.objectives):
        return None
    signs = np.array([-1.0 if direction == "maximize" else 1.0 for direction in front.directions])
    own = signs * np.array([metrics[name].value for name in front.objectives])
    theirs = signs * front.values
    better = (theirs <= own).all(axis=1) & (theirs < own).any(axis=1)
    return [int(number) for number in front.numbers[better]]
