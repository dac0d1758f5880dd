"""How sure it is that a candidate belongs to the Pareto front, given how well its objectives are known.

Each objective of each candidate is drawn from a normal distribution around its recorded value whose middle 95 % are
as wide as the recorded interval, independently; what has no interval stays where it is. A candidate's probability is
the share of ``DRAWS`` such worlds in which no other complete candidate dominates it. Errors that candidates share (one
validation split, one state of the machine) make differences surer than this says: the probabilities are cautious.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.strategies.pareto import Floats, pareto_front, to_losses
from nas.tasks.intervals import Z
from trials.store.read.points import Points

#: Probabilities are within 0.03 of those of infinitely many, 95 times in 100.
DRAWS = 1000
SEED = 0
#: Standard deviations, of each of two candidates, beyond which one that dominates the other is sure to: it errs by
#: 0.001 at most.
REACH = 3.0
#: Candidates that the others of a world are compared with first.
MAX_LEADERS = 100
#: From here on a place on the front is called sure, and below one minus it a place beside it.
SURE = 0.9


def membership_of(found: Points) -> dict[int, float]:
    """Number of each complete candidate → its probability; the objectives are among the columns."""
    found = found.on(found.objectives)
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
    return _shares(losses.tobytes(), spread.tobytes(), losses.shape[1], seed).copy()


@lru_cache(maxsize=8)
def _shares(losses: bytes, spread: bytes, columns: int, seed: int) -> Floats:
    """The same of ``(n, m)`` losses and their standard deviations: a page and a report ask for it many times."""
    middle, width = (np.frombuffer(data).reshape(-1, columns) for data in (losses, spread))
    shares = np.zeros(len(middle))
    able = _plausible(middle, width)
    if not len(able):
        return shares
    middle, width = (np.ascontiguousarray(each[able].T) for each in (middle, width))
    leaders = _leaders(middle)
    generator = np.random.default_rng(seed)
    counts = np.zeros(len(able))
    for _ in range(DRAWS):
        counts[_front(middle + width * generator.standard_normal(middle.shape), leaders)] += 1
    shares[able] = counts / DRAWS
    return shares


def _plausible(losses: Floats, spread: Floats) -> NDArray[np.intp]:
    """Indices of those that no other surely dominates; the others change nothing for anyone."""
    best, worst = losses - REACH * spread, losses + REACH * spread
    sure = worst[pareto_front(worst, ["minimize"] * losses.shape[1])]
    kept = np.ones(len(losses), dtype=np.bool_)
    for other in sure:
        kept &= ~((other <= best).all(axis=1) & (other < best).any(axis=1))
    return np.flatnonzero(kept)


def _leaders(losses: Floats) -> list[int]:
    """Some of the front of ``(m, n)`` losses that together dominate the most, each the most of what is left."""
    front = pareto_front(losses.T, ["minimize"] * len(losses))
    beaten = {
        int(leader): (losses[:, [leader]] < losses).all(axis=0)
        for leader in front[:: math.ceil(len(front) / MAX_LEADERS)]
    }
    left, chosen = np.ones(losses.shape[1], dtype=np.bool_), list[int]()
    while beaten and left.any():
        chosen.append(max(beaten, key=lambda leader: np.count_nonzero(beaten[leader] & left)))
        left &= ~beaten.pop(chosen[-1])
    return chosen


def _front(losses: Floats, leaders: Sequence[int]) -> NDArray[np.intp]:
    """Indices of the front of ``(m, n)`` losses; who is worse than a leader in everything is out at once."""
    left, near = np.arange(losses.shape[1]), list(losses)
    for leader in leaders:
        kept = near[0] <= losses[0, leader]
        for column, worst in zip(near[1:], losses[1:, leader], strict=True):
            kept |= column <= worst
        left, near = left[kept], [column[kept] for column in near]
    return left[pareto_front(np.stack(near, axis=1), ["minimize"] * len(losses))]
