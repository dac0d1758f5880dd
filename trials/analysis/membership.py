"""Membership: the probability that a candidate is on the Pareto front, given the intervals of all objectives.

Each objective of each candidate is drawn independently from a normal distribution around its recorded value, whose
middle 95 % are as wide as the recorded interval; a value without an interval is fixed. A candidate's probability is the
share of ``DRAWS`` draws in which no other complete candidate dominates it. Candidates share some errors (one validation
split, one state of the machine), which makes their differences more certain than this assumes, so the probabilities are
conservative.
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

#: With this number of draws, a probability is within 0.03 of its limit 95 times in 100.
DRAWS = 1000
SEED = 0
#: A candidate that dominates another even if both are shifted by this many standard deviations is taken to dominate it
#: in every draw; the error is at most 0.001.
REACH = 3.0
#: Number of candidates with which the others of a draw are compared first.
MAX_LEADERS = 100
#: From this probability on, a candidate is called certain to be on the front; below one minus it, certain not to be.
SURE = 0.9


def membership_of(found: Points) -> dict[int, float]:
    """Return number of each complete candidate → its probability; the objectives must be among the columns."""
    found = found.on(found.objectives)
    able = np.flatnonzero((found.states == "complete") & np.isfinite(found.values).all(axis=1))
    able = able if len(found.metrics) else able[:0]
    kept = found.take(able)
    shares = membership(kept.values, kept.low, kept.high, kept.directions)
    return {int(number): float(share) for number, share in zip(kept.numbers, shares, strict=True)}


def membership(values: Any, low: Any, high: Any, directions: Sequence[str], *, seed: int = SEED) -> Floats:
    """Return the probability of each of n candidates to be on the front.

    Args:
        values: ``(n, m)`` objectives.
        low: ``(n, m)`` lower ends of their 95 % intervals, NaN where none is known.
        high: ``(n, m)`` upper ends.
        directions: ``maximize`` or ``minimize`` for each column.
        seed: seed of the draws.

    Returns:
        ``(n,)`` between 0 and 1.
    """
    losses = to_losses(values, directions)
    spread = np.nan_to_num(np.asarray(high, dtype=np.float64) - low).reshape(losses.shape) / (2 * Z)
    return _shares(losses.tobytes(), spread.tobytes(), losses.shape[1], seed).copy()


@lru_cache(maxsize=8)
def _shares(losses: bytes, spread: bytes, columns: int, seed: int) -> Floats:
    """Compute ``membership`` of ``(n, m)`` losses and standard deviations; cached, as reports need it repeatedly."""
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
    """Return indices of candidates that no other certainly dominates; the rest do not affect any probability."""
    best, worst = losses - REACH * spread, losses + REACH * spread
    sure = worst[pareto_front(worst, ["minimize"] * losses.shape[1])]
    kept = np.ones(len(losses), dtype=np.bool_)
    for other in sure:
        kept &= ~((other <= best).all(axis=1) & (other < best).any(axis=1))
    return np.flatnonzero(kept)


def _leaders(losses: Floats) -> list[int]:
    """Choose front members of ``(m, n)`` losses greedily: each dominates the most points not yet dominated."""
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
    """Return indices of the front of ``(m, n)`` losses; points worse than a leader in everything are dropped first."""
    left, near = np.arange(losses.shape[1]), list(losses)
    for leader in leaders:
        kept = near[0] <= losses[0, leader]
        for column, worst in zip(near[1:], losses[1:, leader], strict=True):
            kept |= column <= worst
        left, near = left[kept], [column[kept] for column in near]
    return left[pareto_front(np.stack(near, axis=1), ["minimize"] * len(losses))]
