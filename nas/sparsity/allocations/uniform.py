"""Uniform allocations: equal densities in all layers, or in all but the first and last."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from nas.papers import Paper
from nas.sparsity import Allocation, Layer
from nas.sparsity.allocations.budget import proportional

#: Smallest density of the last layer.
LAST = 0.2


class Uniform(Allocation):
    """All layers have the same density."""

    paper = Paper(
        38,
        "Random pruning (Liu et al. 2022)",
        "tests/unit/nas/sparsity/test_allocations.py::test_densities_add_up",
    )

    def densities(self, layers: Sequence[Layer], density: float) -> list[float]:
        """See ``Allocation.densities``."""
        return [density] * len(layers)


class UniformPlus(Allocation):
    """The first layer of the network is dense, the last has at least 0.2, and all others have the same density.

    If the first and the last layer would use up the whole density, all layers have the same density.
    """

    paper = Paper(
        38,
        "Random pruning (Liu et al. 2022)",
        "tests/unit/nas/sparsity/test_allocations.py::test_uniform_plus_spares_the_ends",
    )

    def densities(self, layers: Sequence[Layer], density: float) -> list[float]:
        """See ``Allocation.densities``."""
        sizes, shares = [prod(layer.shape) for layer in layers], [1.0] * len(layers)
        fixed = {index: 1.0 for index, layer in enumerate(layers) if layer.first}
        found = proportional(sizes, shares, density, fixed)
        low = {index: LAST for index, layer in enumerate(layers) if layer.last and found[index] < LAST}
        return proportional(sizes, shares, density, {**low, **fixed}) if low else found


UNIFORM = Uniform()
UNIFORM_PLUS = UniformPlus()
