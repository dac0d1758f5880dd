"""Fronts compared with their definition, hypervolumes with a count of cells."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.strategies.pareto import pareto_front
from trials.analysis.hypervolume import hypervolume

SIDE = 4


def clouds(dimensions: int) -> st.SearchStrategy[list[list[int]]]:
    point = st.lists(st.integers(0, SIDE), min_size=dimensions, max_size=dimensions)
    return st.lists(point, max_size=12)


any_cloud = st.integers(1, 4).flatmap(
    lambda m: st.tuples(clouds(m), st.lists(st.sampled_from(["maximize", "minimize"]), min_size=m, max_size=m))
)


def gains(points: list[list[int]], directions: list[str]) -> np.ndarray:
    signs = [1 if direction == "maximize" else -1 for direction in directions]
    return np.array(points, dtype=float).reshape(len(points), len(directions)) * signs


@settings(max_examples=150, deadline=None)
@given(any_cloud)
def test_the_front_is_what_no_other_point_dominates(cloud: tuple[list[list[int]], list[str]]) -> None:
    points, directions = cloud
    better = gains(points, directions)
    expected = [
        index
        for index, point in enumerate(better)
        if not any((other >= point).all() and (other > point).any() for other in better)
    ]
    assert pareto_front(points, directions).tolist() == expected


@settings(max_examples=150, deadline=None)
@given(any_cloud)
def test_the_hypervolume_is_the_number_of_dominated_cells(cloud: tuple[list[list[int]], list[str]]) -> None:
    points, directions = cloud
    reference = [0 if direction == "maximize" else SIDE for direction in directions]
    # In gains: the reference point is 0 or -SIDE, and cells are unit cubes above it.
    better, corner = gains(points, directions), gains([reference], directions)[0]
    cells = itertools.product(range(SIDE), repeat=len(directions))
    expected = sum(any((point >= corner + np.array(cell) + 1).all() for point in better) for cell in cells)
    assert hypervolume(points, directions, reference) == pytest.approx(expected)


@pytest.mark.parametrize("dimensions", [2, 3, 4])
def test_real_numbers_against_monte_carlo(dimensions: int) -> None:
    generator = np.random.default_rng(dimensions)
    points = generator.random((15, dimensions))
    samples = generator.random((200_000, dimensions))
    dominated = np.zeros(len(samples), dtype=bool)
    for point in points:
        dominated |= (samples >= point).all(axis=1)
    found = hypervolume(points, ["minimize"] * dimensions, [1.0] * dimensions)
    assert found == pytest.approx(dominated.mean(), abs=0.005)


def test_points_behind_the_reference_add_nothing() -> None:
    assert hypervolume([[0.9, 3.0], [0.5, 1.0]], ["maximize", "minimize"], [0.4, 2.0]) == pytest.approx(0.1)
    assert hypervolume([[2.0, 0.0]], ["minimize", "minimize"], [1.0, 1.0]) == 0.0
    assert hypervolume([], ["minimize", "minimize"], [1.0, 1.0]) == 0.0


def test_a_hundred_thousand_points_of_which_all_are_on_the_front() -> None:
    x = np.random.default_rng(0).permutation(100_000).astype(float)
    assert len(pareto_front(np.stack([x, -x], axis=1), ["minimize", "minimize"])) == 100_000
    assert hypervolume(np.stack([x, x], axis=1), ["maximize", "minimize"], [-1.0, 1e5]) == pytest.approx(
        100_000 * 100_001 / 2
    )


def test_infinite_points_are_ranked() -> None:
    points = [[float("inf"), 1.0], [2.0, float("inf")], [1.0, 2.0]]
    assert pareto_front(points, ["minimize", "minimize"]).tolist() == [0, 2]
    assert pareto_front([[float("inf"), float("inf")]], ["minimize", "minimize"]).tolist() == [0]


@pytest.mark.parametrize(
    ("points", "directions", "reference", "message"),
    [
        ([[1.0, 2.0]], ["minimise", "minimize"], [3, 3], "'minimise'; allowed"),
        ([[1.0, 2.0]], ["minimize"], [3], "shape"),
        ([[float("nan"), 2.0]], ["minimize"] * 2, [3, 3], "is NaN"),
        ([[1.0, 2.0]], ["minimize"] * 2, [3, float("inf")], "finite"),
    ],
)
def test_wrong_input_is_refused(
    points: list[list[float]], directions: list[str], reference: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        hypervolume(points, directions, reference)
