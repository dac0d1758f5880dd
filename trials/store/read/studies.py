"""Read the list of studies, and everything about one study except its candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from trials.store.models import Candidate, ImportedRow, Metric, RecheckRow, Study
from trials.store.read.metric_names import metric_is, metric_name, metric_names, split_name, target_names
from trials.store.read.protocols import Evidence, missing
from trials.store.read.session import Source, find_study, reading
from trials.store.read.states import LIVE, present_state
from trials.store.records import Remark
from trials.store.roles import companion_name

#: States of a study, in the order in which they are shown.
STUDY_STATES = ("running", "preparing", "waiting", "paused", "interrupted", "stopped", "complete", "exhausted")
#: States of a candidate, in the order in which they are shown.
STATES = ("complete", "infeasible", "measured_only", "paused", "stopped", "failed", "running", "queued")
_NEWEST_FIRST = (Study.created_at.desc(), Study.id.desc())


@dataclass(frozen=True)
class StudyRow:
    """One study of a list."""

    id: int
    name: str
    group: str
    role: str
    state: str
    seed: int
    #: Name of the strategy.
    strategy: str
    created_at: datetime
    finished_at: datetime | None
    #: Objective → ``maximize`` or ``minimize``, in the plan's order.
    objectives: Mapping[str, str]
    #: State → number of candidates; states without candidates are missing.
    counts: Mapping[str, int]
    #: Objective → best value of the complete candidates; empty if there are none.
    best: Mapping[str, float]
    #: What it lacks for complete results; see ``trials.store.read.protocols``.
    incomplete: tuple[str, ...] = ()
    #: What its coordinator is doing now.
    phase: str | None = None
    #: What people wrote about it.
    remark: Remark = field(default_factory=Remark)

    @property
    def is_live(self) -> bool:
        """Whether it is being prepared or runs, so that what it shows changes."""
        return self.state in LIVE

    @property
    def title(self) -> str:
        """Name, state and numbers of candidates, such as ``'digits': complete; 10 complete, 2 infeasible``."""
        counts = ", ".join(f"{count} {state}" for state, count in self.counts.items()) or "no trials yet"
        return f"{self.name!r}: {self.state}; {counts}"


@dataclass(frozen=True, repr=False)
class StudySummary:
    """One study without its candidates."""

    row: StudyRow
    plan: Mapping[str, Any]
    #: Metric → ``{"max": x}`` or ``{"min": x}``; relative limits are resolved to numbers.
    limits: Mapping[str, Mapping[str, float]]
    environment: Mapping[str, Any]
    totals: Mapping[str, Any]
    error: str | None
    #: How its networks become sparse: see ``trials.store.models.Study.regime``.
    regime: Mapping[str, Any] | None
    #: Names of the plan's targets.
    targets: tuple[str, ...]
    #: All metrics of its candidates, objectives first; metrics on the first target have no ``@target``.
    metrics: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<StudySummary {self.row.title}; {', '.join(field.name for field in fields(self))}>"


def list_studies(
    source: Source,
    *,
    group: str | None = None,
    text: str = "",
    states: Sequence[str] = (),
    offset: int = 0,
    limit: int | None = None,
) -> list[StudyRow]:
    """Studies, newest first.

    Args:
        source: the database.
        group: list only studies of this group.
        text: list only studies with this text in their name or group, in upper or lower case.
        states: list only studies in these states; empty for all.
        offset: number of studies to leave out at the start.
        limit: largest number of studies.
    """
    with reading(source) as session:
        query = select(Study).order_by(*_NEWEST_FIRST).offset(offset).limit(limit)
        if group is not None:
            query = query.where(Study.group == group)
        return _rows(session, session.scalars(query.where(*_matching(text, states))).all())


def count_studies(source: Source, *, text: str = "", states: Sequence[str] = ()) -> int:
    """Number of studies that ``list_studies`` lists with these arguments."""
    with reading(source) as session:
        return session.scalar(select(func.count()).select_from(Study).where(*_matching(text, states))) or 0


def _matching(text: str, states: Sequence[str]) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if text:
        has = (func.lower(name).contains(text.lower(), autoescape=True) for name in (Study.name, Study.group))
        found.append(or_(*has))
    if states:
        found.append(present_state().in_(states))
    return found


def study_names(source: Source, limit: int) -> list[str]:
    """Names of the newest studies, newest first."""
    with reading(source) as session:
        return list(session.scalars(select(Study.name).order_by(*_NEWEST_FIRST).limit(limit)))


def compared_studies(source: Source, row: StudyRow) -> list[StudyRow]:
    """The study itself and the searches and baselines of its group with equal objectives, oldest first."""
    query = select(Study).where(Study.group == row.group, Study.role.in_(("search", "baseline")), Study.id != row.id)
    with reading(source) as session:
        others = [study for study in session.scalars(query) if study.objectives == dict(row.objectives)]
        return sorted([row, *_rows(session, others)], key=lambda each: (each.created_at, each.id))


def study_summary(source: Source, name: str) -> StudySummary:
    """Everything about one study except its candidates.

    Raises:
        UnknownNameError: the study does not exist; the message suggests the most similar name.
    """
    with reading(source) as session:
        study = find_study(session, name)
        return StudySummary(
            row=_rows(session, [study])[0],
            plan=study.plan,
            limits={metric_name(study, *split_name(key)): bound for key, bound in study.limits.items()},
            environment=study.environment,
            totals=study.totals,
            error=study.error,
            regime=study.regime,
            targets=target_names(study),
            metrics=metric_names(session, study),
        )


def _rows(session: Session, studies: Sequence[Study]) -> list[StudyRow]:
    ids = [study.id for study in studies]
    counts: dict[int, dict[str, int]] = {key: {} for key in ids}
    query = select(Candidate.study_id, Candidate.state, func.count()).where(Candidate.study_id.in_(ids))
    for study_id, state, count in session.execute(query.group_by(Candidate.study_id, Candidate.state)):
        counts[study_id][state] = count
    lacking = _incomplete(session, studies)
    states = {key: state for key, state in session.execute(select(Study.id, present_state()).where(Study.id.in_(ids)))}
    return [
        StudyRow(
            id=study.id,
            name=study.name,
            group=study.group,
            role=study.role,
            state=states[study.id],
            seed=study.seed,
            strategy=study.plan.get("strategy", {}).get("name", "?"),
            created_at=study.created_at,
            finished_at=study.finished_at,
            objectives=study.objectives,
            counts={state: counts[study.id][state] for state in STATES if state in counts[study.id]},
            best=_best(session, study) if counts[study.id].get("complete") else {},
            incomplete=lacking.get(study.id, ()),
            phase=None if states[study.id] == "interrupted" else study.phase,
            remark=Remark(study.note or "", tuple(study.tags or ())),
        )
        for study in studies
    ]


def _incomplete(session: Session, studies: Sequence[Study]) -> dict[int, tuple[str, ...]]:
    """Study id → what it lacks, for sparse searches; executes two statements, or none if no search is sparse."""
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


def study_token(source: Source, name: str) -> tuple[Any, ...]:
    """A value that changes whenever anything of a study or of another study of its group does, except for running jobs.

    Raises:
        UnknownNameError: the study does not exist.
    """
    # The sum also changes if a transaction commits an earlier revision later than another one.
    changes = select(func.sum(Candidate.revision)).where(Candidate.study_id == Study.id).scalar_subquery()
    later = [
        select(func.max(row.created_at)).where(row.study_id == Study.id).scalar_subquery()
        for row in (ImportedRow, RecheckRow)
    ]
    columns = (
        Study.id,
        Study.created_at,
        present_state(),
        Study.phase,
        Study.error,
        Study.is_prepared,
        Study.finished_at,
        Study.lease_epoch,
        Study.note,
        Study.tags,
    )
    with reading(source) as session:
        group = find_study(session, name).group
        query = select(*columns, changes, *later).where(Study.group == group).order_by(Study.id)
        return tuple(tuple(row) for row in session.execute(query))
