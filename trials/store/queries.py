"""The read side of the database: studies, and pages of their candidates. Never the whole study.

Everything takes a ``Source`` (an engine, a session, or anything with an ``engine``) and returns frozen data.
Columns of all candidates are in ``queries_points``, a single candidate is in ``queries_candidate``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from sqlalchemy import Engine, Select, and_, func, or_, select
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.elements import ColumnElement

from nas.errors import UnknownNameError
from nas.registry import nearest
from trials.protocols import Evidence, missing
from trials.roles import companion_name
from trials.store.beside import Beside, flags
from trials.store.models import Architecture, Candidate, Metric, Study

#: States of a candidate, in the order in which they are shown.
STATES = ("complete", "infeasible", "stopped", "failed", "running", "queued")

#: Columns of the candidate itself that pages can be ordered by, beside every metric.
COLUMNS: Mapping[str, Any] = {
    "number": Candidate.number,
    "state": Candidate.state,
    "parameters": Architecture.parameters,
    "macs": Architecture.macs,
    "created_at": Candidate.created_at,
    "finished_at": Candidate.finished_at,
}


class HasEngine(Protocol):
    """What a store has that reading needs."""

    @property
    def engine(self) -> Engine:
        """The engine of its database."""


Source = Engine | Session | HasEngine


@dataclass(frozen=True)
class Value:
    """A recorded number and its 95 % interval, where one is known."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class StudyRow:
    """One line of the list of studies."""

    id: int
    name: str
    group: str
    role: str
    state: str
    seed: int
    created_at: datetime
    finished_at: datetime | None
    #: Objective → ``maximize`` or ``minimize``, in the plan's order.
    objectives: Mapping[str, str]
    #: State → candidates in it; states without candidates are missing.
    counts: Mapping[str, int]
    #: Objective → best value of the complete candidates; missing before the first.
    best: Mapping[str, float]
    #: What it lacks before its results may be read as results; see ``trials.protocols``.
    incomplete: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudySummary:
    """One study without its candidates."""

    row: StudyRow
    plan: Mapping[str, Any]
    #: Metric → ``{"max": x}`` or ``{"min": x}``, resolved.
    limits: Mapping[str, Mapping[str, float]]
    environment: Mapping[str, Any]
    totals: Mapping[str, Any]
    error: str | None
    #: How its networks become sparse: see ``trials.store.models.Study.regime``.
    regime: Mapping[str, Any] | None
    #: Names of the plan's targets.
    targets: tuple[str, ...]
    #: Every metric its candidates have, objectives first; the first target goes without saying.
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class CandidateRow:
    """One line of a page of candidates."""

    number: int
    state: str
    reason: str | None
    parameters: int
    macs: int
    created_at: datetime
    finished_at: datetime | None
    #: Metric (named as in ``StudySummary.metrics``) → value.
    metrics: Mapping[str, Value]
    #: Its latency beside its dense twin's, a target each; empty where it has no such twin.
    beside: tuple[Beside, ...] = ()

    def value(self, metric: str) -> Value | None:
        """A metric, parameters or MACs; None where it was not recorded."""
        if metric in ("parameters", "macs"):
            return Value(float(self.parameters if metric == "parameters" else self.macs))
        return self.metrics.get(metric)

    @property
    def flags(self) -> tuple[str, ...]:
        """What to beware of: ``sparser but not faster``."""
        return flags(self.beside, {name: item.value for name, item in self.metrics.items()})


@dataclass(frozen=True)
class CandidatePage:
    """A page of candidates, and how many there are on all pages."""

    rows: tuple[CandidateRow, ...]
    total: int
    offset: int


@contextmanager
def reading(source: Source) -> Iterator[Session]:
    """A session to read in; a given one is used as it is."""
    if isinstance(source, Session):
        yield source
        return
    with Session(source if isinstance(source, Engine) else source.engine) as session:
        yield session


def list_studies(
    source: Source, *, group: str | None = None, offset: int = 0, limit: int | None = None
) -> list[StudyRow]:
    """Studies, newest first; those of ``group`` only, if one is given."""
    with reading(source) as session:
        query = select(Study).order_by(Study.created_at.desc(), Study.id.desc()).offset(offset).limit(limit)
        if group is not None:
            query = query.where(Study.group == group)
        return _rows(session, session.scalars(query).all())


def compared_studies(source: Source, row: StudyRow) -> list[StudyRow]:
    """The searches and baselines of a study's group that have its objectives, and itself, oldest first."""
    return [
        other
        for other in reversed(list_studies(source, group=row.group))
        if other.name == row.name
        or (other.role in ("search", "baseline") and dict(other.objectives) == dict(row.objectives))
    ]


def study_summary(source: Source, name: str) -> StudySummary:
    """Everything about one study but its candidates.

    Raises:
        UnknownNameError: no such study; the message has the nearest name.
    """
    with reading(source) as session:
        study = find_study(session, name)
        return StudySummary(
            row=_rows(session, [study])[0],
            plan=study.plan,
            limits={metric_name(study, *_split(key)): bound for key, bound in study.limits.items()},
            environment=study.environment,
            totals=study.totals,
            error=study.error,
            regime=study.regime,
            targets=target_names(study),
            metrics=metric_names(session, study),
        )


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
    """One page of candidates, ordered by a metric or one of ``COLUMNS``; those without the value come last.

    ``states`` and ``numbers`` leave out all others.

    Raises:
        UnknownNameError: no such study, or nothing to order by has this name.
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
        rows = tuple(candidate_row(study, candidate) for candidate in session.scalars(query))
        return CandidatePage(rows, total, offset)


def _order_key(
    session: Session, study: Study, query: Select[Any], order_by: str
) -> tuple[Select[Any], ColumnElement[Any]]:
    """The query, joined to what it is to be ordered by, and that column."""
    if order_by in COLUMNS:
        return query, COLUMNS[order_by]
    metrics = metric_names(session, study)
    if order_by not in metrics:
        known = [*COLUMNS, *metrics]
        raise UnknownNameError(
            f"can't order candidates by {order_by!r}{nearest(order_by, known)}; known: {', '.join(known)}"
        )
    metric = aliased(Metric)
    condition = metric_is(metric, session, study, order_by)
    return query.outerjoin(metric, condition), metric.value.expression


def find_study(session: Session, name: str) -> Study:
    """The study called ``name``.

    Raises:
        UnknownNameError: there is none.
    """
    study = session.scalar(select(Study).where(Study.name == name))
    if study is not None:
        return study
    known = list(session.scalars(select(Study.name).order_by(Study.created_at.desc()).limit(200)))
    hint = nearest(name, known) or ("" if known else "; this database has no studies yet")
    raise UnknownNameError(f"no study {name!r}{hint}; `nas list` shows all")


def target_names(study: Study) -> tuple[str, ...]:
    """The names of the plan's targets."""
    return tuple(str(target["name"]) for target in study.plan.get("targets", ()))


def metric_names(session: Session, study: Study) -> tuple[str, ...]:
    """Metrics of a study, objectives first; of a few candidates only, as all complete ones have the same."""
    some = [
        select(Candidate.id)
        .where(Candidate.study_id == study.id, Candidate.state == state)
        .order_by(Candidate.number)
        .limit(10)
        for state in ("complete", "infeasible")
    ]
    query = (
        select(Metric.name, Metric.target)
        .where(or_(*(Metric.candidate_id.in_(ids) for ids in some)))
        .distinct()
        .order_by(Metric.name, Metric.target)
    )
    found = [metric_name(study, name, target) for name, target in session.execute(query)]
    return tuple(dict.fromkeys([*study.objectives, *found]))


def metric_name(study: Study, name: str, target: str) -> str:
    """A metric in the words of a study: its objectives', else bare for the first target, else whole."""
    first = next(iter(target_names(study)), "")
    full = f"{name}@{target or first}"
    if full in study.objectives:
        return full
    return name if target in ("", first) else full


def metric_is(metric: Any, session: Session, study: Study, key: str) -> ColumnElement[bool]:
    """Condition that joins ``metric`` rows called ``key`` to candidates.

    A bare name means the row no target has a say in, else that of the plan's first target that has one.
    """
    name, target = _split(key)
    if not target:
        for option in ("", *target_names(study)):
            some = select(Metric.id).join(Candidate, Candidate.id == Metric.candidate_id)
            some = some.where(Candidate.study_id == study.id, Metric.name == name, Metric.target == option)
            if session.scalar(some.limit(1)) is not None:
                target = option
                break
    return and_(metric.candidate_id == Candidate.id, metric.name == name, metric.target == target)


def _split(key: str) -> tuple[str, str]:
    name, _, target = key.partition("@")
    return name, target


def utc(time: datetime) -> datetime:
    """``time`` with its zone: SQLite gives back what was stored as UTC without one."""
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def candidate_row(study: Study, candidate: Candidate) -> CandidateRow:
    """A candidate as a line of a page, its objectives first among the metrics."""
    found = {metric_name(study, row.name, row.target): Value(row.value, row.low, row.high) for row in candidate.metrics}
    order = dict.fromkeys([*study.objectives, *found])
    return CandidateRow(
        number=candidate.number,
        state=candidate.state,
        reason=candidate.reason,
        parameters=candidate.architecture.parameters,
        macs=candidate.architecture.macs,
        created_at=utc(candidate.created_at),
        finished_at=candidate.finished_at and utc(candidate.finished_at),
        metrics={name: found[name] for name in order if name in found},
        beside=_beside(candidate),
    )


def _beside(candidate: Candidate) -> tuple[Beside, ...]:
    own = {row.target: row for row in candidate.metrics if row.name == "latency_ms"}
    twins = [row for row in candidate.metrics if row.name == "dense_latency_ms" and row.target in own]
    return tuple(
        Beside(
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


def _rows(session: Session, studies: Sequence[Study]) -> list[StudyRow]:
    ids = [study.id for study in studies]
    counts: dict[int, dict[str, int]] = {key: {} for key in ids}
    query = select(Candidate.study_id, Candidate.state, func.count()).where(Candidate.study_id.in_(ids))
    for study_id, state, count in session.execute(query.group_by(Candidate.study_id, Candidate.state)):
        counts[study_id][state] = count
    lacking = _incomplete(session, studies)
    return [
        StudyRow(
            id=study.id,
            name=study.name,
            group=study.group,
            role=study.role,
            state=study.state,
            seed=study.seed,
            created_at=utc(study.created_at),
            finished_at=study.finished_at and utc(study.finished_at),
            objectives=study.objectives,
            counts={state: counts[study.id][state] for state in STATES if state in counts[study.id]},
            best=_best(session, study) if counts[study.id].get("complete") else {},
            incomplete=lacking.get(study.id, ()),
        )
        for study in studies
    ]


def _incomplete(session: Session, studies: Sequence[Study]) -> dict[int, tuple[str, ...]]:
    """Study id → what it lacks, of searches; in two statements, none where no search is sparse."""
    asked = {study.id: study for study in studies if study.role == "search" and study.regime is not None}
    if not asked:
        return {}
    complete = select(Candidate.study_id).where(Candidate.state == "complete")
    baselines = {companion_name(study.name, "random_mask"): key for key, study in asked.items()}
    query = select(Study.name).where(Study.name.in_(baselines), Study.id.in_(complete))
    compared = {baselines[name] for name in session.scalars(query)}
    timed = complete.join(Metric, Metric.candidate_id == Candidate.id).where(Metric.name == "dense_latency_ms")
    found = set(session.scalars(timed.where(Candidate.study_id.in_(asked)).distinct()))
    return {
        key: missing(Evidence(study.regime, has_random_masks=key in compared, is_timed=key in found))
        for key, study in asked.items()
    }


def _best(session: Session, study: Study) -> dict[str, float]:
    best = {}
    for key, direction in study.objectives.items():
        extreme = func.max(Metric.value) if direction == "maximize" else func.min(Metric.value)
        query = select(extreme).select_from(Candidate).join(Metric, metric_is(Metric, session, study, key))
        value = session.scalar(query.where(Candidate.study_id == study.id, Candidate.state == "complete"))
        if value is not None:
            best[key] = float(value)
    return best
