"""How studies went on: best values and hypervolume in the order of proposal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trials.analysis.hypervolume import hypervolume
from trials.store.read.points import Floats, fetch_columns
from trials.store.read.session import Source, find_study, reading


@dataclass(frozen=True)
class History:
    """How a study went on, in the order of proposal; complete candidates only."""

    study: str
    role: str
    seed: int
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
    #: Number of the last finished candidate of any state: how far the budget is spent.
    last_number: int


def history(source: Source, name: str) -> History:
    """How the study ``name`` went on; its own best and worst values span the box of the hypervolume.

    Raises:
        UnknownNameError: no such study.
    """
    return histories(source, [name])[0]


def histories(source: Source, names: Sequence[str]) -> list[History]:
    """How several studies on the same objectives went on, in one common box of hypervolume.

    Raises:
        UnknownNameError: no such study.
    """
    with reading(source) as session:
        studies = [find_study(session, name) for name in names]
        found = []
        for study in studies:
            columns = tuple(study.objectives)
            table = fetch_columns(session, study, columns)
            complete = (table.states == "complete") & np.isfinite(table.values).all(axis=1)
            last = int(table.numbers[-1]) if len(table.numbers) else -1
            found.append((study, columns, table.numbers[complete], table.values[complete], last))
    directions = tuple(studies[0].objectives.values()) if studies else ()
    signs = np.array([1.0 if direction == "maximize" else -1.0 for direction in directions])
    everything = np.concatenate([values for *_, values, _ in found]) if found else np.empty((0, 0))
    return [
        History(
            study=study.name,
            role=study.role,
            seed=study.seed,
            objectives=columns,
            directions=directions,
            numbers=numbers,
            values=values,
            best=np.maximum.accumulate(values * signs, axis=0) * signs,
            hypervolume=running_hypervolume(values * signs, everything * signs),
            last_number=last,
        )
        for study, columns, numbers, values, last in found
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
