"""Histories of studies: best values and hypervolume in the order of proposal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.strategies.pareto import Floats
from trials.analysis.hypervolume import hypervolume
from trials.store.read.points import Points, points
from trials.store.read.session import Source, reading


@dataclass(frozen=True)
class History:
    """The history of a study in the order of proposal; it contains only complete candidates."""

    study: str
    role: str
    objectives: tuple[str, ...]
    directions: tuple[str, ...]
    #: ``(n,)``
    numbers: NDArray[np.int64]
    #: ``(n, m)``
    values: Floats
    #: ``(n, m)``: best value of each objective so far.
    best: Floats
    #: ``(n,)``: share of the box between ``reference`` and ``ideal`` dominated so far.
    hypervolume: Floats
    #: Number of the last complete or infeasible candidate, which shows how much of the budget is used.
    last_number: int

    def reached(self, numbers: Any) -> Floats:
        """Return the hypervolume of the candidates up to each of ``numbers`` (any shape); 0 before the first."""
        reached: Floats = np.concatenate([[0.0], self.hypervolume])[
            np.searchsorted(self.numbers, numbers, side="right")
        ]
        return reached


def histories(source: Source, names: Sequence[str]) -> list[History]:
    """Return the histories of studies with equal objectives; the values of all of them span one box of hypervolume.

    Raises:
        UnknownNameError: a study does not exist.
    """
    with reading(source) as session:
        return histories_of([points(session, name) for name in names])


def histories_of(studies: Sequence[Points]) -> list[History]:
    """Return ``histories`` of studies whose complete and infeasible candidates are given."""
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
    """Return the share of the box spanned by ``everything`` that the first 1, 2 … n rows dominate.

    Args:
        gains: ``(n, m)``, larger is better in every column.
        everything: ``(k, m)``; the box extends from the worst to the best value of each column. A column whose values
            are all equal is ignored.

    Returns:
        ``(n,)`` between 0 and 1.
    """
    if not len(gains):
        return np.zeros(0)
    worst, best = everything.min(axis=0), everything.max(axis=0)
    varied = best > worst
    if not varied.any():
        return np.ones(len(gains))
    # The box starts a tenth below the worst value, so that the extreme ends of a front have a volume, too.
    scaled = (gains[:, varied] - worst[varied]) / (best - worst)[varied] * (10 / 11) + 1 / 11
    maximize = ["maximize"] * scaled.shape[1]
    kept = np.empty((0, scaled.shape[1]))
    shares = np.empty(len(scaled))
    share = 0.0
    for index, point in enumerate(scaled):
        # Only points that no earlier point dominates change the share, and there are few.
        if not (kept >= point).all(axis=1).any():
            kept = np.vstack([kept[~(point >= kept).all(axis=1)], point])
            share = float(hypervolume(kept, maximize, [0.0] * len(maximize)))
        shares[index] = share
    return shares
