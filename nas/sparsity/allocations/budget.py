"""Densities in given proportions that together keep a given number of weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def proportional(
    sizes: Sequence[int], shares: Sequence[float], density: float, fixed: Mapping[int, float] | None = None
) -> list[float]:
    """ε·share for each layer, 1 where that is more, with the ε that makes the mean over weights ``density``.

    Args:
        sizes: weights of each layer.
        shares: of the density, to scale.
        density: of all weights.
        fixed: layers that have theirs already; where those alone take the whole budget they are treated like others.
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
