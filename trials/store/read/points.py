"""Read the numbers of all candidates of a study, one row each, and which of them are on the front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.strategies.pareto import Floats, pareto_front
from trials.store.read.columns import StudyColumns
from trials.store.read.session import Source, find_study, reading


@dataclass(frozen=True)
class Points:
    """Candidates in the order of their numbers; values that were not measured are ``nan``."""

    study: str
    #: Role of the study: ``search``, ``baseline``, …
    role: str
    #: Names of the m columns; their directions are ``maximize`` or ``minimize``, or ``""`` if they are no objectives.
    metrics: tuple[str, ...]
    directions: tuple[str, ...]
    #: The objectives of the front, which may differ from the columns: the study's, or the ``goals`` of ``points``.
    objectives: tuple[str, ...]
    #: ``(n,)``
    numbers: NDArray[np.int64]
    #: ``(n,)``: ``complete`` or ``infeasible``.
    states: NDArray[np.str_]
    #: ``(n, m)`` each: the value and the ends of its 95 % interval.
    values: Floats
    low: Floats
    high: Floats
    #: ``(n,)``: Pareto-optimal on ``objectives``.
    on_front: NDArray[np.bool_]
    #: Number of the original, the user's own unchanged network, if the study has one.
    original: int | None = None

    def take(self, rows: Any) -> Points:
        """Select rows by indices or a mask."""
        names = ("numbers", "states", "values", "low", "high", "on_front")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def on(self, metrics: Sequence[str]) -> Points:
        """Select columns by name."""
        places = [self.metrics.index(key) for key in metrics]
        return replace(
            self,
            metrics=tuple(metrics),
            directions=tuple(self.directions[place] for place in places),
            **{name: getattr(self, name)[:, places] for name in ("values", "low", "high")},
        )

    def front(self) -> Points:
        """Return the candidates on the front, sorted by the last column."""
        found = self.take(self.on_front)
        return found.take(np.argsort(found.values[:, -1], kind="stable"))


def points(
    source: Source,
    name: str,
    metrics: Sequence[str] | None = None,
    *,
    goals: Mapping[str, str] | None = None,
    columns: StudyColumns | None = None,
) -> Points:
    """Complete and infeasible candidates of a study on its objectives, or on ``metrics``.

    Besides metrics, ``number``, ``parameters`` and ``macs`` can be columns. ``goals`` (metric → direction) replace the
    study's objectives. With ``columns`` of an earlier call, only what has changed since then is read.

    Raises:
        UnknownNameError: the study does not exist.
    """
    with reading(source) as session:
        study = find_study(session, name)
        directed = study.objectives if goals is None else goals
        wanted = tuple(directed) if metrics is None else tuple(metrics)
        names = tuple(dict.fromkeys([*wanted, *directed]))
        numbers, states, found = (columns or StudyColumns(name)).read(session, names)
    able = np.isin(states, ("complete", "infeasible"))
    cells = np.stack([each[able] for each in found], axis=1).reshape(-1, len(names), 3)
    values, low, high = (cells[:, :, place] for place in range(3))
    return Points(
        study=study.name,
        role=study.role,
        metrics=names,
        directions=tuple(directed.get(key, "") for key in names),
        objectives=tuple(directed),
        numbers=numbers[able],
        states=states[able],
        values=values,
        low=low,
        high=high,
        on_front=_on_front(states[able], values[:, [names.index(key) for key in directed]], list(directed.values())),
        original=study.original,
    ).on(wanted)


def front(source: Source, name: str, metrics: Sequence[str] | None = None) -> Points:
    """The Pareto front of a study: feasible complete candidates, sorted by the last column.

    Raises:
        UnknownNameError: the study does not exist.
    """
    return points(source, name, metrics).front()


def _on_front(states: NDArray[np.str_], values: Floats, directions: Sequence[str]) -> NDArray[np.bool_]:
    front = np.zeros(len(states), dtype=np.bool_)
    able = np.flatnonzero((states == "complete") & np.isfinite(values).all(axis=1))
    if len(able):
        front[able[pareto_front(values[able], directions)]] = True
    return front
