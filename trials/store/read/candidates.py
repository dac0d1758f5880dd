"""Read pages of candidates, one row each.

``points`` reads columns of all candidates of a study, and ``candidate`` reads everything about one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.elements import ColumnElement

from nas.errors import UnknownNameError
from nas.registry import nearest
from trials.store.models import Architecture, Candidate, Metric, Study
from trials.store.read import twins
from trials.store.read.doubts import doubts_of
from trials.store.read.metric_names import metric_is, metric_name, metric_names, shown_metrics, split_name
from trials.store.read.session import Source, find_study, reading
from trials.store.read.speedups import Speedup, flags
from trials.store.records import Remark
from trials.store.target_metrics import is_hidden

#: Columns that pages can be ordered by, besides every metric.
COLUMNS: Mapping[str, Any] = {
    "number": Candidate.number,
    "state": Candidate.state,
    "parameters": Architecture.parameters,
    "macs": Architecture.macs,
    "created_at": Candidate.created_at,
    "finished_at": Candidate.finished_at,
}


@dataclass(frozen=True)
class Value:
    """A recorded number and the ends of its 95 % interval, None if none is known."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class CandidateRow:
    """One candidate of a page."""

    number: int
    state: str
    reason: str | None
    parameters: int
    macs: int
    created_at: datetime
    finished_at: datetime | None
    #: Metric, named as in ``StudySummary.metrics`` → value.
    metrics: Mapping[str, Value]
    #: Choice → answer, for the choices that have an effect on this network.
    choices: Mapping[str, Any] = field(default_factory=dict)
    #: Its latency and that of its dense twin on each target; empty if it has no measured twin.
    speedups: tuple[Speedup, ...] = ()
    #: Messages about dense twins that could not be measured.
    missing: tuple[str, ...] = ()
    #: Whether it is the original, the user's own unchanged network.
    original: bool = False
    #: Reasons to doubt its scores: ``trials.jobs.doubts``.
    doubts: tuple[str, ...] = ()
    #: Names of metrics that tables leave out: hidden ones, such as percentiles, without an objective or limit.
    further: tuple[str, ...] = ()
    #: What people wrote about it.
    remark: Remark = field(default_factory=Remark)

    @property
    def shown_metrics(self) -> dict[str, Value]:
        """``metrics`` without ``further``."""
        return {name: value for name, value in self.metrics.items() if name not in self.further}

    def value(self, metric: str) -> Value | None:
        """The value of a metric, ``parameters`` or ``macs``; None if it was not recorded."""
        if metric in ("parameters", "macs"):
            return Value(float(self.parameters if metric == "parameters" else self.macs))
        return self.metrics.get(metric)

    @property
    def flags(self) -> tuple[str, ...]:
        """Warnings: compressed but not faster, no comparison with a dense twin, doubtful scores."""
        found = flags(self.speedups, {name: item.value for name, item in self.metrics.items()})
        return found + self.missing + self.doubts


@dataclass(frozen=True)
class CandidatePage:
    """A page of candidates; ``total`` counts the candidates of all pages."""

    rows: tuple[CandidateRow, ...]
    total: int
    offset: int


def candidates_page(
    source: Source,
    name: str,
    *,
    offset: int = 0,
    limit: int = 50,
    order_by: str = "number",
    descending: bool = False,
    states: Sequence[str] | None = None,
    numbers: Sequence[int] | None = None,
) -> CandidatePage:
    """One page of candidates, ordered by a metric or one of ``COLUMNS``; candidates without the value come last.

    ``states`` and ``numbers`` select candidates; None selects all.

    Raises:
        UnknownNameError: no such study, or candidates can't be ordered by ``order_by``.
    """
    with reading(source) as session:
        study = find_study(session, name)
        where = [Candidate.study_id == study.id]
        if states is not None:
            where.append(Candidate.state.in_(states))
        if numbers is not None:
            where.append(Candidate.number.in_(numbers))
        total = session.scalar(select(func.count()).select_from(Candidate).where(*where)) or 0
        query = select(Candidate).join(Candidate.architecture).where(*where)
        query, key = _order_key(session, study, query, order_by)
        order = key.desc() if descending else key.asc()
        query = query.order_by(key.is_(None), order, Candidate.number).offset(offset).limit(limit)
        candidates = session.scalars(query).all()
        ids = [candidate.id for candidate in candidates]
        missing, doubts = twins.remarks(session.connection(), ids), doubts_of(session, ids)
        rows = tuple(
            candidate_row(study, candidate, missing.get(candidate.id, ()), doubts.get(candidate.id, ()))
            for candidate in candidates
        )
        return CandidatePage(rows, total, offset)


def _order_key(
    session: Session, study: Study, query: Select[Any], order_by: str
) -> tuple[Select[Any], ColumnElement[Any]]:
    """Join the query to the rows it is ordered by; return it and the column to order by."""
    if order_by in COLUMNS:
        return query, COLUMNS[order_by]
    metrics = metric_names(session, study)
    if order_by not in metrics and not is_hidden(split_name(order_by)[0]):
        known = [*COLUMNS, *metrics]
        hint = nearest(order_by, known, f"known: {', '.join(known)}")
        raise UnknownNameError(f"can't order candidates by {order_by!r}{hint}")
    metric = aliased(Metric)
    condition = metric_is(metric, session, study, order_by)
    return query.outerjoin(metric, condition), metric.value.expression


def candidate_row(
    study: Study, candidate: Candidate, missing: tuple[str, ...] = (), doubts: tuple[str, ...] = ()
) -> CandidateRow:
    """A candidate as a row of a page, with the objectives first among its metrics."""
    found = {metric_name(study, row.name, row.target): Value(row.value, row.low, row.high) for row in candidate.metrics}
    order = dict.fromkeys([*study.objectives, *found])
    metrics = {name: found[name] for name in order if name in found}
    return CandidateRow(
        number=candidate.number,
        state=candidate.state,
        reason=candidate.reason,
        parameters=candidate.architecture.parameters,
        macs=candidate.architecture.macs,
        created_at=candidate.created_at,
        finished_at=candidate.finished_at,
        metrics=metrics,
        choices=candidate.architecture.definition.get("choices", {}),
        further=tuple(sorted(metrics.keys() - set(shown_metrics(study, metrics)))),
        speedups=_speedups(candidate),
        missing=missing,
        original=candidate.number == study.original,
        doubts=doubts,
        remark=Remark(candidate.note or "", tuple(candidate.tags or ())),
    )


def _speedups(candidate: Candidate) -> tuple[Speedup, ...]:
    own = {row.target: row for row in candidate.metrics if row.name == "latency_ms"}
    twins = [row for row in candidate.metrics if row.name == "dense_latency_ms" and row.target in own]
    return tuple(
        Speedup(
            target=row.target,
            latency_ms=own[row.target].value,
            high_ms=_or(own[row.target].high, own[row.target].value),
            dense_latency_ms=row.value,
            dense_low_ms=_or(row.low, row.value),
        )
        for row in twins
    )


def _or(bound: float | None, value: float) -> float:
    return value if bound is None else bound
