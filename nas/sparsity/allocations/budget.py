"""Densities in given proportions that keep a given share of all weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def proportional(
    sizes: Sequence[int], shares: Sequence[float], density: float, fixed: Mapping[int, float] | None = None
) -> list[float]:
    """Density min(1, ε·share) for each layer, with the ε for which the mean over all weights is ``density``.

    Args:
        sizes: number of weights of each layer.
        shares: proportions of the layers' densities.
        density: density of all layers together.
        fixed: layer → its density, for layers whose density is given; ignored if they alone exceed the budget.
    """
    found = dict(fixed or {})
    budget = density * sum(sizes)
    if sum(sizes[index] * value for index, value in found.items()) >= budget:
        found = {}
    while len(found) < len(sizes):
        rest = [index for index in range(len(sizes)) if index not in found]
        left = budget - sum(sizes[index] * value for index, value in found.items())
        scale = left / sum(sizes[index] * shares[index] for index in rest)
        capped = [index for index in rest if scale * shares[index] >= 1]
        found |= dict.fromkeys(capped, 1.0) if capped else {index: scale * shares[index] for index in rest}
    return [found[index] for index in range(len(sizes))]
