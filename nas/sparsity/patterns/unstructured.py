"""Any weight may go."""

from __future__ import annotations

from torch import Tensor

from nas.sparsity import Pattern, Shape


class Unstructured(Pattern):
    """Single weights, also those of depthwise convolutions."""

    structure = "unstructured"

    def acts_on(self, shape: Shape) -> bool:
        """On every weight, depthwise ones too."""
        return True

    def pools(self, weight: Tensor) -> list[Tensor]:
        """One group of single weights."""
        return [weight.reshape(1, -1, 1)]


UNSTRUCTURED = Unstructured()
