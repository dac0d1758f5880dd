"""How probably one trial is better than another, given the intervals of a metric."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr

from nas.tasks.intervals import Z
from trials.store.read.candidates import Value


def probability_better(first: Value, second: Value, direction: str) -> float:
    """Return the probability that the first value is truly better than the second.

    Both are taken to be independent and normally distributed around the recorded value, with a middle 95 % as wide as
    the recorded interval. Values without intervals are exact; equal exact values give one half.
    """
    gain = (first.value - second.value) * (1 if direction == "maximize" else -1)
    spread = math.hypot(_deviation(first), _deviation(second))
    return float(ndtr(gain / spread)) if spread else float(np.heaviside(gain, 0.5))


def _deviation(value: Value) -> float:
    return 0.0 if value.low is None or value.high is None else (value.high - value.low) / (2 * Z)
