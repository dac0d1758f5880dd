"""95 % intervals of scores, which come from the limited number of examples in a split."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nas.tasks import Task

#: Half width, in standard deviations, of the interval that contains 95 % of a normal variable.
Z = 1.959964
RESAMPLES = 200

Interval = tuple[float, float]


def score_intervals(
    task: Task, outputs: np.ndarray, targets: np.ndarray, scores: Mapping[str, float], seed: int = 0
) -> dict[str, Interval]:
    """95 % intervals of the task's ``scores`` for these outputs and targets.

    Proportions get Wilson's interval (1927), which has a width even if all examples are correct. Other metrics get
    percentiles of a bootstrap over examples.
    """
    found = {metric.name: wilson(scores[metric.name], len(targets)) for metric in task.metrics if metric.proportion}
    if set(found) == set(scores):
        return found
    count = len(targets)
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    for name, values in task.score_resampled(outputs, targets, draws).items():
        if name not in found and np.isfinite(values).all():
            low, high = np.percentile(values, [2.5, 97.5])
            found[name] = min(float(low), scores[name]), max(float(high), scores[name])
    return found


def wilson(share: float, count: int) -> Interval:
    """Wilson's interval of a ``share`` that was observed in ``count`` examples."""
    spread = Z**2 / count
    middle = (share + spread / 2) / (1 + spread)
    half = (Z / (1 + spread)) * np.sqrt(share * (1 - share) / count + spread / (4 * count))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))
