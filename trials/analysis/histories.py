"""How studies went on: best values and hypervolume in the order of proposal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trials.analysis.hypervolume import hypervolume
from trials.store.read.points import Floats, Points, points
from trials.store.read.session import Source, reading


@dataclass(frozen=True)
class History:
    """How a study went on, in the order of proposal; complete candidates only."""

    study: str
    role: str
    objectives: tuple[str, ...]
    directions: tuple[str, ...]
    #: ``(n,)``
    numbers: NDArray[np.int64]
    #: ``(n, m)``
    values: Floats
    #: ``(n, m)``: best so far of each objective.
    best: Floats
    #: ``(n,)``: share of the box between ``reference`` and ``ideal`` dominated so far.
    hypervolume: Floats
    #: Number of the last complete or infeasible candidate: how far the budget is spent.
    last_number: int

    def reached(self, numbers: Any) -> Floats:
        """The hypervolume once the candidates up to each of ``numbers`` are done, of any shape; 0 before the first."""
        reached: Floats = np.concatenate([[0.0], self.hypervolume])[
            np.searchsorted(self.numbers, numbers, side="right")
        ]
        return reached


def histories(source: Source, names: Sequence[str]) -> list[History]:
    """How studies on the same objectives, one or several, went on; their values span one box of hypervolume.

    Raises:
        UnknownNameError: no such study.
    """
    with reading(source) as session:
        return histories_of([points(session, name) for name in names])


def histories_of(studies: Sequence[Points]) -> list[History]:
    """``histories`` of one study or several, of which complete and infeasible candidates are given."""
    every = [study.on(study.objectives) for study in studies]
    kept = [own.take((own.states == "complete") & np.isfinite(own.values).all(axis=1)) for own in every]
    signs = np.array([1.0 if direction == "maximize" else -1.0 for direction in kept[0].directions])
    everything = np.concatenate([own.values for own in kept])
    return [
        History(
            study=own.study,
            role=own.role,
            objectives=own.objectives,
            directions=own.directions,
            numbers=own.numbers,
            values=own.values,
            best=np.maximum.accumulate(own.values * signs, axis=0) * signs,
            hypervolume=running_hypervolume(own.values * signs, everything * signs),
            last_number=int(finished.numbers[-1]) if len(finished.numbers) else -1,
        )
        for own, finished in zip(kept, every, strict=True)
    ]


def running_hypervolume(gains: Floats, everything: Floats) -> Floats:
    """Share of the box spanned by ``everything`` that the first 1, 2 … n rows dominate.

    Args:
        gains: ``(n, m)``, larger is better in every column.
        everything: ``(k, m)``: the box runs from its worst to its best value in each column. An objective in
            which all are equal does not count.

    Returns:
        ``(n,)`` between 0 and 1.
    """
    if not len(gains):
        return np.zeros(0)
    worst, best = everything.min(axis=0), everything.max(axis=0)
    varied = best > worst
    if not varied.any():
        return np.ones(len(gains))
    # A tenth below the worst value, so that the extreme ends of a front have a volume too.
    scaled = (gains[:, varied] - worst[varied]) / (best - worst)[varied] * (10 / 11) + 1 / 11
    maximize = ["maximize"] * scaled.shape[1]
    kept = np.empty((0, scaled.shape[1]))
    shares = np.empty(len(scaled))
    share = 0.0
    for index, point in enumerate(scaled):
        # The share moves only with a point that nothing found so far dominates: few do.
        if not (kept >= point).all(axis=1).any():
            kept = np.vstack([kept[~(point >= kept).all(axis=1)], point])
            share = float(hypervolume(kept, maximize, [0.0] * len(maximize)))
        shares[index] = share
    return shares
