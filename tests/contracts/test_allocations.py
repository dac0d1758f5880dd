"""The contract of every registered sparsity allocation."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from nas.sparsity import ALLOCATIONS, Layer
from nas.sparsity.mask import Mask
from tests.contracts.sparse_networks import build


def check_allocation(densities: Callable[[list[Layer], float], list[float]]) -> None:
    """The mean density over all weights equals the requested one within 0.001; no density is above 1 or 0."""
    shapes = [(16, 3, 3, 3), *[(16, 16, 3, 3)] * 3, (32, 16, 3, 3), (32, 32, 3, 3), (64, 32, 3, 3), (10, 64)]
    layers = [Layer(shape, first=number == 0, last=number == 7) for number, shape in enumerate(shapes)]
    for density in (0.02, 0.05, 0.1, 0.5, 0.9, 1.0):
        found = densities(layers, density)
        kept = sum(math.prod(shape) * value for shape, value in zip(shapes, found, strict=True))
        assert kept == pytest.approx(density * sum(map(math.prod, shapes)), rel=1e-3)
        assert all(0 < value <= 1 for value in found)


@pytest.mark.parametrize("name", ALLOCATIONS.names())
def test_an_allocation_keeps_the_total(name: str) -> None:
    check_allocation(ALLOCATIONS.get(name).densities)


@pytest.mark.parametrize("name", ALLOCATIONS.names())
def test_an_allocation_of_everything_is_dense(name: str) -> None:
    assert not any(isinstance(part, Mask) for part in build(densities=[1.0], allocation=name).model.modules())


# -- planted mistakes


def test_an_allocation_that_forgets_sizes_is_found() -> None:
    with pytest.raises(AssertionError):
        check_allocation(lambda layers, density: [min(1.0, density * (2 if layer.first else 1)) for layer in layers])
