"""Unstructured pattern: each weight is kept or removed by itself."""

from __future__ import annotations

from torch import Tensor

from nas.sparsity import Pattern, Shape


class Unstructured(Pattern):
    """Single weights, also those of depthwise convolutions."""

    structure = "unstructured"

    def acts_on(self, shape: Shape) -> bool:
        """True for every weight, also depthwise ones."""
        return True

    def pools(self, weight: Tensor) -> list[Tensor]:
        """One group, whose atoms are single weights."""
        return [weight.reshape(1, -1, 1)]


UNSTRUCTURED = Unstructured()
