"""Which trial to take: the best within a limit, the knee, and the cheapest that is not shown to be worse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas.strategies.pareto import to_losses
from trials.analysis.knee import knee
from trials.reporting.labels import inline
from trials.store.read.points import Points


@dataclass(frozen=True)
class Recommended:
    """A trial and the reason to take it."""

    reason: str
    number: int


def best_within(found: Points, bound: float) -> int | None:
    """Return the complete trial that is best in the first column, among those whose last column keeps a bound.

    Args:
        found: trials with objectives as columns, at least two.
        bound: smallest allowed value if the last column is to be maximized, else the largest.
    """
    usable = _usable(found)
    losses = to_losses(usable.values, usable.directions)
    kept = np.flatnonzero(losses[:, -1] <= (-bound if usable.directions[-1] == "maximize" else bound))
    return int(usable.numbers[kept[losses[kept, 0].argmin()]]) if len(kept) else None


def cheapest_alike(found: Points) -> int | None:
    """Return the complete trial that is best in the last column, among those not shown to be worse in the first.

    A trial is not shown to be worse if its first column is within the 95 % interval of the best one.
    """
    usable = _usable(found)
    if not len(usable.numbers) or len(usable.metrics) < 2:
        return None
    losses = to_losses(usable.values, usable.directions)
    best = losses[:, 0].argmin()
    end = usable.low[best, 0] if usable.directions[0] == "maximize" else usable.high[best, 0]
    worst = losses[best, 0] if np.isnan(end) else to_losses([[end]], usable.directions[:1])[0, 0]
    alike = np.flatnonzero(losses[:, 0] <= worst)
    return int(usable.numbers[alike[losses[alike, -1].argmin()]])


def recommended(found: Points) -> list[Recommended]:
    """Return the best trial in each objective, the knee, and the cheapest alike; each trial once with all reasons."""
    own = found.on(found.objectives)
    front = own.front()
    if not len(front.numbers):
        return []
    losses = to_losses(front.values, front.directions)
    best = front.numbers[losses.argmin(axis=0)]
    reasons = [(f"best {inline(metric)}", int(number)) for metric, number in zip(front.metrics, best, strict=True)]
    reasons.append(("knee of the front", int(front.numbers[knee(front.values, front.directions)])))
    alike = cheapest_alike(own)
    if alike is not None:
        reasons.append(
            (f"best {inline(own.metrics[-1])} within the interval of the best {inline(own.metrics[0])}", alike)
        )
    numbers = dict.fromkeys(number for _, number in reasons)
    return [Recommended(", ".join(reason for reason, number in reasons if number == each), each) for each in numbers]


def _usable(found: Points) -> Points:
    return found.take((found.states == "complete") & np.isfinite(found.values).all(axis=1))
