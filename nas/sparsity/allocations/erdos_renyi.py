"""Erdős–Rényi: small layers are kept denser."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from nas.papers import Paper
from nas.sparsity import Allocation, Layer
from nas.sparsity.allocations.budget import proportional


class ErdosRenyi(Allocation):
    """Densities in proportion to (sum of a weight's dimensions) / (their product), none above 1.

    Args:
        kernel: count the kernel's dimensions too (ERK), not only outputs and inputs (ER).
        last_dense: keep the network's last layer dense, the total as it is (ERK+); where that takes the whole
            budget, as without.
    """

    paper = Paper(
        38,
        "Random pruning (Liu et al. 2022)",
        "tests/unit/nas/sparsity/test_allocations.py::test_erk_follows_its_formula",
    )

    def __init__(self, *, kernel: bool, last_dense: bool = False) -> None:
        self.kernel, self.last_dense = kernel, last_dense

    def densities(self, layers: Sequence[Layer], density: float) -> list[float]:
        """See ``Allocation.densities``."""
        counted = [layer.shape if self.kernel else layer.shape[:2] for layer in layers]
        shares = [sum(shape) / prod(shape) for shape in counted]
        fixed = {index: 1.0 for index, layer in enumerate(layers) if layer.last and self.last_dense}
        return proportional([prod(layer.shape) for layer in layers], shares, density, fixed)


ER = ErdosRenyi(kernel=False)
ERK = ErdosRenyi(kernel=True)
ERK_PLUS = ErdosRenyi(kernel=True, last_dense=True)
