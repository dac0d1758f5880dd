from __future__ import annotations

import math

import numpy as np
import pytest

from nas.strategies.pareto import pareto_front
from nas.tasks.intervals import Z
from trials.analysis.membership import DRAWS, _front, _leaders, membership


def probability_below(first: float, first_sigma: float, second: float, second_sigma: float) -> float:
    """The probability that one normal variable is smaller than another."""
    return 0.5 * (1 + math.erf((second - first) / math.hypot(first_sigma, second_sigma) / math.sqrt(2)))


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_without_intervals_it_is_the_front(columns: int) -> None:
    random = np.random.default_rng(columns)
    values = random.integers(0, 5, (40, columns)).astype(float)  # some rows and some columns are equal
    unknown = np.full(values.shape, np.nan)
    directions = ["maximize", "minimize", "minimize"][:columns]
    expected = np.zeros(40)
    expected[pareto_front(values, directions)] = 1
    np.testing.assert_array_equal(membership(values, unknown, unknown, directions), expected)


@pytest.mark.parametrize(("count", "columns"), [(12, 2), (12, 3), (400, 2), (150, 3)])
def test_membership_equals_the_share_of_fronts_over_draws(count: int, columns: int) -> None:
    """Most of many candidates can't be on the front and are left out of the draws; leaving them out changes nothing."""
    random = np.random.default_rng(0)
    values = random.normal(size=(count, columns))
    half = random.uniform(0.1, 0.6, values.shape)
    directions = ["minimize"] * columns
    found = membership(values, values - half, values + half, directions)
    noise = np.random.default_rng(1).standard_normal((DRAWS, *values.shape))
    counts = np.zeros(count)
    for world in values + half / Z * noise:
        counts[pareto_front(world, directions)] += 1
    np.testing.assert_allclose(found, counts / DRAWS, atol=4 * 0.5 * math.sqrt(2 / DRAWS))
    assert found.sum() == pytest.approx(counts.sum() / DRAWS, rel=0.05)


@pytest.mark.parametrize("columns", [1, 2, 3, 4])
def test_the_front_of_each_draw_is_exact(columns: int) -> None:
    random = np.random.default_rng(columns)
    minimize = ["minimize"] * columns
    for size in (2, 5, 1000):  # few different values: many are equal, in some columns or in all of them
        recorded, world = (random.integers(0, size, (columns, 300)).astype(float) for _ in range(2))
        leaders = _leaders(recorded)
        assert set(leaders) <= set(pareto_front(recorded.T, minimize))
        np.testing.assert_array_equal(_front(world, leaders), pareto_front(world.T, minimize))


def test_membership_of_two_candidates_depends_on_the_objective_they_differ_in() -> None:
    """The second has the same size and is 1 % slower; the standard deviation of its latency is 1 %."""
    values = np.array([[100.0, 1.0], [100.0, 1.01]])
    sigma = np.array([[0.0, 0.004], [0.0, 0.01]])
    found = membership(values, values - Z * sigma, values + Z * sigma, ["minimize", "minimize"])
    expected = probability_below(1.01, 0.01, 1.0, 0.004)
    np.testing.assert_allclose(found, [1 - expected, expected], atol=0.05)


def test_membership_is_repeatable_and_empty_for_no_candidates() -> None:
    values = np.array([[0.9, 1.0], [0.91, 1.02], [0.92, 1.01]])
    half = np.full(values.shape, 0.01)
    first, second = (membership(values, values - half, values + half, ["maximize", "minimize"]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    first[:] = 2.0
    again = membership(values, values - half, values + half, ["maximize", "minimize"])
    np.testing.assert_array_equal(again, second)
    assert membership(values[:0], half[:0], half[:0], ["maximize", "minimize"]).shape == (0,)
