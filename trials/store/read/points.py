"""The read side of whole studies: columns of numbers, one row a candidate, and the front among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import literal, select
from sqlalchemy.orm import Session, aliased

from nas.strategies.pareto import pareto_front
from trials.store.models import Architecture, Candidate, Metric, Study
from trials.store.read.metric_names import metric_is
from trials.store.read.session import Source, find_study, reading

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Points:
    """Candidates by number; ``nan`` where something was not measured."""

    study: str
    #: Names of the m columns, and ``maximize`` or ``minimize`` for those that are objectives, else ``""``.
    metrics: tuple[str, ...]
    directions: tuple[str, ...]
    #: The objectives the front is of, whatever the columns are: the study's, unless others were asked for.
    objectives: tuple[str, ...]
    #: ``(n,)``
    numbers: NDArray[np.int64]
    #: ``(n,)``: ``complete`` or ``infeasible``.
    states: NDArray[np.str_]
    #: ``(n, m)`` each: value, and the ends of its 95 % interval.
    values: Floats
    low: Floats
    high: Floats
    #: ``(n,)``: Pareto-optimal on ``objectives``.
    on_front: NDArray[np.bool_]
    #: Number of the candidate that is the user's own network as it is, if the study has one.
    original: int | None = None

    def take(self, rows: Any) -> Points:
        """These rows only: indices or a mask."""
        names = ("numbers", "states", "values", "low", "high", "on_front")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


def points(
    source: Source, name: str, metrics: Sequence[str] | None = None, *, goals: Mapping[str, str] | None = None
) -> Points:
    """Complete and infeasible candidates of a study on its objectives, or on ``metrics``.

    Beside metrics, ``number``, ``parameters`` and ``macs`` can be columns. ``goals`` (metric → direction) take the
    place of the study's objectives.

    Raises:
        UnknownNameError: no such study.
    """
    with reading(source) as session:
        study = find_study(session, name)
        directed = study.objectives if goals is None else goals
        objectives = tuple(directed)
        wanted = objectives if metrics is None else tuple(metrics)
        columns = tuple(dict.fromkeys([*wanted, *objectives]))
        table = fetch_columns(session, study, columns)
    front = np.zeros(len(table.numbers), dtype=np.bool_)
    place = [columns.index(key) for key in objectives]
    able = np.flatnonzero((table.states == "complete") & np.isfinite(table.values[:, place]).all(axis=1))
    if len(able):
        directions = [directed[key] for key in objectives]
        front[able[pareto_front(table.values[able][:, place], directions)]] = True
    keep = [columns.index(key) for key in wanted]
    return Points(
        study=study.name,
        metrics=wanted,
        directions=tuple(directed.get(key, "") for key in wanted),
        objectives=objectives,
        numbers=table.numbers,
        states=table.states,
        values=table.values[:, keep],
        low=table.low[:, keep],
        high=table.high[:, keep],
        on_front=front,
        original=study.original,
    )


def front(source: Source, name: str, metrics: Sequence[str] | None = None) -> Points:
    """The Pareto front of a study: feasible complete candidates, sorted by the last column.

    Raises:
        UnknownNameError: no such study.
    """
    found = points(source, name, metrics)
    found = found.take(found.on_front)
    return found.take(np.argsort(found.values[:, -1], kind="stable"))


@dataclass(frozen=True)
class Columns:
    """Candidates by number, as ``Points`` before the front is known; ``nan`` where something was not measured."""

    numbers: NDArray[np.int64]
    states: NDArray[np.str_]
    values: Floats
    low: Floats
    high: Floats


def fetch_columns(session: Session, study: Study, columns: Sequence[str]) -> Columns:
    """Columns of all complete and infeasible candidates of a study, by number."""
    query = select(Candidate.number, Candidate.state).where(
        Candidate.study_id == study.id, Candidate.state.in_(("complete", "infeasible"))
    )
    own = {"number": Candidate.number, "parameters": Architecture.parameters, "macs": Architecture.macs}
    if {"parameters", "macs"} & set(columns):
        query = query.join(Architecture, Architecture.id == Candidate.architecture_id)
    nothing = literal(None)
    for key in columns:
        if key in own:
            query = query.add_columns(own[key], nothing, nothing)
        else:
            metric = aliased(Metric)
            query = query.outerjoin(metric, metric_is(metric, session, study, key))
            query = query.add_columns(metric.value, metric.low, metric.high)
    rows = session.execute(query.order_by(Candidate.number)).all()
    cells = np.array([row[2:] for row in rows], dtype=np.float64).reshape(len(rows), len(columns), 3)
    return Columns(
        numbers=np.array([row[0] for row in rows], dtype=np.int64),
        states=np.array([row[1] for row in rows], dtype=np.str_),
        values=cells[:, :, 0],
        low=cells[:, :, 1],
        high=cells[:, :, 2],
    )
