"""Erdős–Rényi allocation, which keeps small layers denser."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from nas.papers import Paper
from nas.sparsity import Allocation, Layer
from nas.sparsity.allocations.budget import proportional


class ErdosRenyi(Allocation):
    """The density is proportional to (sum of a weight's dimensions) / (their product), and at most 1.

    Args:
        kernel: the dimensions include those of the kernel (ERK), not only outputs and inputs (ER).
        last_dense: the last layer of the network is dense and the total stays the same (ERK+); if this layer would use
            up the whole density, it has no effect.
    """

    paper = Paper(
        38,
        "Random pruning (Liu et al. 2022)",
        "tests/unit/nas/sparsity/test_allocations.py::test_erk_follows_its_formula",
    )

    def __init__(self, *, kernel: bool, last_dense: bool = False) -> None:
        self.kernel, self.last_dense = kernel, last_dense
        sizes = ("outputs", "inputs", "height", "width") if kernel else ("outputs", "inputs")
        self.summary = f"Proportional to ({' + '.join(sizes)}) / ({' · '.join(sizes)}), at most 1"
        self.summary += "; the last layer of the network is dense." if last_dense else "."

    def densities(self, layers: Sequence[Layer], density: float) -> list[float]:
        """See ``Allocation.densities``."""
        counted = [layer.shape if self.kernel else layer.shape[:2] for layer in layers]
        shares = [sum(shape) / prod(shape) for shape in counted]
        fixed = {index: 1.0 for index, layer in enumerate(layers) if layer.last and self.last_dense}
        return proportional([prod(layer.shape) for layer in layers], shares, density, fixed)


ER = ErdosRenyi(kernel=False)
ERK = ErdosRenyi(kernel=True)
ERK_PLUS = ErdosRenyi(kernel=True, last_dense=True)
