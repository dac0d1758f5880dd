"""How sure it is that a candidate belongs to the Pareto front, given how well its objectives are known.

Each objective of each candidate is drawn from a normal distribution around its recorded value whose middle 95 % are
as wide as the recorded interval, independently; what has no interval stays where it is. A candidate's probability is
the share of ``DRAWS`` such worlds in which no other complete candidate dominates it. Errors that candidates share (one
validation split, one state of the machine) make differences surer than this says: the probabilities are cautious.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.strategies.pareto import Floats, pareto_front, to_losses
from nas.tasks.intervals import Z
from trials.store.queries import Source
from trials.store.queries_points import Points, points

#: Probabilities are within 0.03 of those of infinitely many, 95 times in 100.
DRAWS = 1000
SEED = 0
#: Standard deviations, of each of two candidates, beyond which one that dominates the other is sure to: it errs by
#: 0.001 at most.
REACH = 3.0
#: From here on a place on the front is called sure, and below one minus it a place beside it.
SURE = 0.9


def membership_by_number(source: Source, name: str) -> dict[int, float]:
    """Number of each complete candidate of the study ``name`` → its probability.

    Raises:
        UnknownNameError: no such study.
    """
    return membership_of(points(source, name))


def membership_of(found: Points) -> dict[int, float]:
    """The same of points whose columns are the objectives."""
    able = np.flatnonzero((found.states == "complete") & np.isfinite(found.values).all(axis=1))
    able = able if len(found.metrics) else able[:0]
    kept = found.take(able)
    shares = membership(kept.values, kept.low, kept.high, kept.directions)
    return {int(number): float(share) for number, share in zip(kept.numbers, shares, strict=True)}


def membership(values: Any, low: Any, high: Any, directions: Sequence[str], *, seed: int = SEED) -> Floats:
    """Probability of each of n candidates to be on the front.

    Args:
        values: ``(n, m)`` objectives.
        low: ``(n, m)`` lower ends of their 95 % intervals, NaN where none is known.
        high: ``(n, m)`` upper ends.
        directions: ``maximize`` or ``minimize`` for each column.
        seed: of the draws.

    Returns:
        ``(n,)`` between 0 and 1.
    """
    losses = to_losses(values, directions)
    spread = np.nan_to_num(np.asarray(high, dtype=np.float64) - low).reshape(losses.shape) / (2 * Z)
    shares = np.zeros(len(losses))
    able = _plausible(losses, spread)
    if not len(able):
        return shares
    noise = np.random.default_rng(seed).standard_normal((DRAWS, len(able), losses.shape[1]))
    drawn = losses[able] + spread[able] * noise
    shares[able] = (_on_front_of_two(drawn) if losses.shape[1] <= 2 else _on_front(drawn)).mean(axis=0)
    return shares


def _plausible(losses: Floats, spread: Floats) -> NDArray[np.intp]:
    """Indices of those that no other surely dominates; the others change nothing for anyone."""
    best, worst = losses - REACH * spread, losses + REACH * spread
    sure = worst[pareto_front(worst, ["minimize"] * losses.shape[1])]
    kept = np.ones(len(losses), dtype=np.bool_)
    for other in sure:
        kept &= ~((other <= best).all(axis=1) & (other < best).any(axis=1))
    return np.flatnonzero(kept)


def _on_front_of_two(drawn: Floats) -> NDArray[np.bool_]:
    """``(D, n)``: who is on the front of ``(D, n, m ≤ 2)`` losses; equal ones all are."""
    first, last = drawn[..., 0], drawn[..., -1]
    order = np.lexsort((last, first), axis=-1)
    first, last = np.take_along_axis(first, order, 1), np.take_along_axis(last, order, 1)
    best_before = np.minimum.accumulate(last, axis=1)[:, :-1]
    leads = np.ones(first.shape, dtype=np.bool_)
    leads[:, 1:] = last[:, 1:] < best_before
    differs = np.ones(first.shape, dtype=np.bool_)
    differs[:, 1:] = (first[:, 1:] != first[:, :-1]) | (last[:, 1:] != last[:, :-1])
    earliest = np.maximum.accumulate(np.where(differs, np.arange(first.shape[1]), 0), axis=1)
    chosen = np.empty_like(leads)
    np.put_along_axis(chosen, order, np.take_along_axis(leads, earliest, 1), 1)
    return chosen


def _on_front(drawn: Floats) -> NDArray[np.bool_]:
    """``(D, n)``: the same for any m, one world after the other."""
    chosen = np.zeros(drawn.shape[:2], dtype=np.bool_)
    for world, losses in zip(chosen, drawn, strict=True):
        world[pareto_front(losses, ["minimize"] * losses.shape[1])] = True
    return chosen
