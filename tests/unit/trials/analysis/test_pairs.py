from __future__ import annotations

import pytest
from scipy.stats import norm

from trials.analysis.pairs import probability_better
from trials.store.read.candidates import Value


def test_the_probability_follows_the_intervals() -> None:
    first, second = Value(0.9, 0.8, 1.0), Value(0.8, 0.7, 0.9)
    sigma = 0.2 / (2 * 1.959964)
    expected = norm.cdf(0.1 / (2**0.5 * sigma))
    assert probability_better(first, second, "maximize") == pytest.approx(expected, abs=1e-6)
    assert probability_better(first, second, "minimize") == pytest.approx(1 - expected, abs=1e-6)


def test_values_without_intervals_are_exact() -> None:
    assert probability_better(Value(1.0), Value(2.0), "minimize") == 1.0
    assert probability_better(Value(2.0), Value(1.0), "minimize") == 0.0
    assert probability_better(Value(1.0), Value(1.0), "minimize") == 0.5
