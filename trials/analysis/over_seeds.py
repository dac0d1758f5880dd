"""Scores of one candidate over several training seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from nas.tasks.intervals import Interval, Z


def over_seeds(scores: Sequence[float], interval: Interval) -> tuple[float, float, float]:
    """Mean over seeds, and the ends of its 95 % interval.

    All seeds were scored on one sample of examples, so averaging does not shrink what that sample makes uncertain. To
    its variance comes that of the mean over seeds; the interval is Student's, with Satterthwaite's (1946) degrees of
    freedom: two seeds that disagree by much say little, and it says so.

    Args:
        scores: one a seed, at least two.
        interval: 95 % interval of one of them over examples.
    """
    sampling = ((interval[1] - interval[0]) / (2 * Z)) ** 2
    seeding = float(np.var(scores, ddof=1)) / len(scores)
    variance = sampling + seeding
    freedom = (len(scores) - 1) * (variance / seeding) ** 2 if seeding > 0 else math.inf
    # Of Student's distribution; not by scipy.stats, which would be a third of a coordinator's memory.
    half = float(stdtrit(freedom, 0.975)) * variance**0.5
    mean = float(np.mean(scores))
    return mean, mean - half, mean + half
