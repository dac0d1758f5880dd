"""Combine the scores of one candidate over several training seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from nas.tasks.intervals import Interval, Z


def over_seeds(scores: Sequence[float], interval: Interval) -> tuple[float, float, float]:
    """Return the mean over seeds, and the ends of its 95 % interval.

    All seeds are scored on the same examples, so averaging does not reduce the variance that this sample causes. The
    variance of the mean over seeds is added to it. The interval is Student's, with Satterthwaite's (1946) degrees of
    freedom, so it becomes wide if a few seeds disagree strongly.

    Args:
        scores: one score per seed, at least two.
        interval: 95 % interval of one of the scores over examples.
    """
    sampling = ((interval[1] - interval[0]) / (2 * Z)) ** 2
    seeding = float(np.var(scores, ddof=1)) / len(scores)
    variance = sampling + seeding
    freedom = (len(scores) - 1) * (variance / seeding) ** 2 if seeding > 0 else math.inf
    # Quantile of Student's distribution; importing scipy.stats would take a third of a coordinator's memory.
    half = float(stdtrit(freedom, 0.975)) * variance**0.5
    mean = float(np.mean(scores))
    return mean, mean - half, mean + half
