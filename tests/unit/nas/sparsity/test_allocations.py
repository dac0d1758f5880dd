"""Densities of a ResNet-20's layers."""

from __future__ import annotations

from math import prod

import pytest

from nas.sparsity import ALLOCATIONS, Layer

SHAPES = [(16, 3, 3, 3), *[(16, 16, 3, 3)] * 2, (32, 16, 3, 3), *[(32, 32, 3, 3)] * 1]
SHAPES += [(64, 32, 3, 3), *[(64, 64, 3, 3)] * 2, (10, 64)]
LAYERS = [Layer(shape, first=index == 0, last=index == len(SHAPES) - 1) for index, shape in enumerate(SHAPES)]


def densities(name: str, density: float) -> list[float]:
    return ALLOCATIONS.get(name).densities(LAYERS, density)


def total(found: list[float]) -> float:
    kept = sum(prod(shape) * value for shape, value in zip(SHAPES, found, strict=True))
    return kept / sum(map(prod, SHAPES))


@pytest.mark.parametrize("name", ALLOCATIONS.names())
@pytest.mark.parametrize("density", [0.01, 0.1, 0.3, 0.8, 1.0])
def test_densities_add_up(name: str, density: float) -> None:
    assert total(densities(name, density)) == pytest.approx(density, rel=1e-3)


def test_erk_follows_its_formula() -> None:
    """Densities are proportional to (sum of dimensions) / (their product); those over 1 become 1, and the others
    compensate.
    """
    found = densities("erk", 0.1)
    shares = [sum(shape) / prod(shape) for shape in SHAPES]
    ratios = [value / share for value, share in zip(found, shares, strict=True) if value < 1]
    assert ratios == pytest.approx([ratios[0]] * len(ratios))
    assert found[-1] == 1.0
    assert max(found) == 1.0
    two = densities("er", 0.1)
    assert two[1] / two[4] == pytest.approx((32 / 256) / (64 / 1024))


def test_erk_of_a_head_and_body_of_nine_layers() -> None:
    """Figures computed independently: first layer, body 16 → 16, 16 → 32, 32 → 32, classifier."""
    shapes = [(16, 3, 3, 3), *[(16, 16, 3, 3)] * 3, (32, 16, 3, 3), *[(32, 32, 3, 3)] * 3, (10, 32)]
    found = ALLOCATIONS.get("erk").densities([Layer(shape) for shape in shapes], 0.1)
    assert [round(found[index], 2) for index in (0, 1, 4, 5, 8)] == [0.53, 0.15, 0.11, 0.07, 1.0]


def test_erk_plus_keeps_the_classifier_and_the_total() -> None:
    assert densities("erk_plus", 0.5)[-1] == 1.0
    assert densities("erk_plus", 0.001) == densities("erk", 0.001)


def test_uniform_plus_spares_the_ends() -> None:
    found = densities("uniform_plus", 0.1)
    assert (found[0], found[-1]) == (1.0, 0.2)
    assert len(set(found[1:-1])) == 1
    assert found[1] < 0.1
    assert densities("uniform_plus", 0.5)[-1] == pytest.approx(densities("uniform_plus", 0.5)[1])
    # The first and last layer alone would exceed the total to be kept.
    assert densities("uniform_plus", 0.001) == pytest.approx([0.001] * len(SHAPES))
