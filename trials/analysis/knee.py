"""The knee of a Pareto front: the compromise from which any gain in one objective costs much in another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nas.strategies.pareto import to_losses


def knee(values: Any, directions: Sequence[str]) -> int:
    """Return the row of the knee of a front.

    Objectives are scaled so that the best value on the front is 0 and the worst is 1. The knee is the point that lies
    farthest below the hyperplane through the points that are best in all objectives but one (Das 1999, "On
    characterizing the knee of the Pareto curve"): the point with the smallest sum of scaled objectives. An objective
    that all points share is ignored.

    Args:
        values: ``(n, m)`` objectives of the front, n at least 1, all finite.
        directions: ``maximize`` or ``minimize`` for each column.
    """
    losses = to_losses(values, directions)
    spans = np.ptp(losses, axis=0)
    scaled = (losses - losses.min(axis=0)) / np.where(spans > 0, spans, 1.0)
    return int(scaled.sum(axis=1).argmin())
