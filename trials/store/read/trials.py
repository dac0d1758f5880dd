"""Read all trials of a study: choices, results and times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from trials.store.models import Architecture, Candidate, JobRow, Measurement, Metric, Study
from trials.store.read.candidates import Value
from trials.store.read.doubts import doubts_of
from trials.store.read.history import TRAININGS
from trials.store.read.metric_names import metric_name
from trials.store.read.session import Source, find_study, reading

#: Trust of measurements, the worst first.
TRUST = ("quarantined", "unverified", "good")


@dataclass(frozen=True)
class Trial:
    """One trial with everything that was chosen and recorded."""

    number: int
    #: ``queued``, ``running``, ``measured_only``, ``paused``, ``complete``, ``infeasible``, ``stopped`` or ``failed``.
    state: str
    #: Why it waits, or is infeasible, stopped or failed.
    reason: str | None
    #: Whether it is the original, the user's own unchanged network.
    original: bool
    #: Metric, named as in ``StudySummary.metrics`` → value with its interval; the objectives come first.
    metrics: Mapping[str, Value]
    #: Choice → answer, for the choices that have an effect on this network.
    choices: Mapping[str, Any]
    parameters: int
    macs: int
    #: Trust of its newest latency, the worst over targets: one of ``TRUST``; None before the first measurement.
    trust: str | None
    #: Start of its first job; None before.
    started_at: datetime | None
    finished_at: datetime | None
    #: Seconds of training, repeats with other seeds included; None if it was not trained.
    train_s: float | None
    #: Seconds of exporting and measuring, repeats and its dense twin included; None if it was not measured.
    measure_s: float | None
    #: Reasons to doubt its scores: ``trials.jobs.doubts``.
    doubts: tuple[str, ...] = ()


def all_trials(source: Source, name: str) -> list[Trial]:
    """Every trial of the study ``name`` in the order of proposal.

    Raises:
        UnknownNameError: the study does not exist.
    """
    with reading(source) as session:
        study = find_study(session, name)
        metrics, times, trust = _metrics(session, study), _times(session, study), _trust(session, study)
        query = (
            select(
                Candidate.id,
                Candidate.number,
                Candidate.state,
                Candidate.reason,
                Candidate.finished_at,
                Architecture.parameters,
                Architecture.macs,
                Architecture.definition["choices"].label("choices"),
            )
            .join(Architecture, Architecture.id == Candidate.architecture_id)
            .where(Candidate.study_id == study.id)
            .order_by(Candidate.number)
        )
        rows = session.execute(query).all()
        doubts = doubts_of(session, [row.id for row in rows])
        return [
            Trial(
                number=row.number,
                state=row.state,
                reason=row.reason,
                original=row.number == study.original,
                metrics=metrics.get(row.id, {}),
                choices=row.choices or {},
                parameters=row.parameters,
                macs=row.macs,
                trust=trust.get(row.id),
                doubts=doubts.get(row.id, ()),
                finished_at=row.finished_at,
                **times.get(row.id, {"started_at": None, "train_s": None, "measure_s": None}),
            )
            for row in rows
        ]


def _metrics(session: Session, study: Study) -> dict[int, dict[str, Value]]:
    query = select(Metric.candidate_id, Metric.name, Metric.target, Metric.value, Metric.low, Metric.high)
    query = query.join(Candidate, Candidate.id == Metric.candidate_id).where(Candidate.study_id == study.id)
    found: dict[int, dict[str, Value]] = {}
    for key, name, target, value, low, high in session.execute(query.order_by(Metric.id)):
        found.setdefault(key, {})[metric_name(study, name, target)] = Value(value, low, high)
    objectives = tuple(study.objectives)
    return {key: _first(objectives, values) for key, values in found.items()}


def _first(names: tuple[str, ...], values: dict[str, Value]) -> dict[str, Value]:
    return {name: values[name] for name in dict.fromkeys([*names, *values]) if name in values}


def _times(session: Session, study: Study) -> dict[int, dict[str, Any]]:
    """Candidate id → ``started_at``, ``train_s`` and ``measure_s``, for candidates with a job that was started."""
    query = select(JobRow.candidate_id, JobRow.kind, JobRow.started_at, JobRow.finished_at)
    query = query.join(Candidate, Candidate.id == JobRow.candidate_id)
    query = query.where(Candidate.study_id == study.id, JobRow.started_at.is_not(None))
    found: dict[int, dict[str, Any]] = {}
    for key, kind, started_at, finished_at in session.execute(query):
        assert started_at is not None
        times = found.setdefault(key, {"started_at": started_at, "train_s": None, "measure_s": None})
        times["started_at"] = min(times["started_at"], started_at)
        if finished_at is not None:
            spent = "train_s" if kind.partition("-")[0] in (*TRAININGS, "retrain") else "measure_s"
            times[spent] = (times[spent] or 0.0) + (finished_at - started_at).total_seconds()
    return found


def _trust(session: Session, study: Study) -> dict[int, str]:
    query = select(Measurement.candidate_id, Measurement.target_id, Measurement.trust)
    query = query.join(Candidate, Candidate.id == Measurement.candidate_id)
    query = query.where(Candidate.study_id == study.id, Measurement.purpose != "twin").order_by(Measurement.id)
    newest = {(key, target): trust for key, target, trust in session.execute(query)}
    found: dict[int, list[str]] = {}
    for (key, _), trust in newest.items():
        found.setdefault(key, []).append(trust)
    return {key: min(each, key=TRUST.index) for key, each in found.items()}
