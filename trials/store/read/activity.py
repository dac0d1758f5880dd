"""Read what a study does now: jobs, reasons why candidates ended, and how much of the budget is spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select

from trials.store.models import Candidate, JobRow
from trials.store.read.history import is_training
from trials.store.read.session import Source, find_study, reading

#: States of candidates that ended; those that were only measured are not among them.
ENDED = ("complete", "infeasible", "stopped", "failed")


@dataclass(frozen=True)
class Job:
    """One job of a candidate, in its last attempt."""

    #: Number of the candidate.
    number: int
    #: See ``trials.store.models.JobRow.kind``.
    kind: str
    #: Target that it measures on; empty for trainings.
    target: str
    state: str
    attempt: int
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None


@dataclass(frozen=True)
class OpenJobs:
    """Jobs of one kind that run or wait for a worker."""

    state: str
    kind: str
    target: str
    count: int


@dataclass(frozen=True)
class Ended:
    """Candidates that ended in one state for one reason."""

    state: str
    reason: str
    count: int


def started_jobs(source: Source, name: str, limit: int) -> list[Job]:
    """Return the newest jobs of a study that were started, the oldest of them first.

    Raises:
        UnknownNameError: the study does not exist.
    """
    return _jobs(source, name, limit, JobRow.started_at.is_not(None))


def retried_jobs(source: Source, name: str, limit: int) -> list[Job]:
    """Return the newest jobs of a study that were started more than once, the oldest of them first.

    Raises:
        UnknownNameError: the study does not exist.
    """
    return _jobs(source, name, limit, JobRow.attempt > 1)


def _jobs(source: Source, name: str, limit: int, which: ColumnElement[bool]) -> list[Job]:
    columns = JobRow.kind, JobRow.target, JobRow.state, JobRow.attempt, JobRow.started_at, JobRow.finished_at
    query = select(Candidate.number, *columns, JobRow.error).join(Candidate, Candidate.id == JobRow.candidate_id)
    with reading(source) as session:
        query = query.where(Candidate.study_id == find_study(session, name).id, which)
        rows = session.execute(query.order_by(JobRow.id.desc()).limit(limit)).all()
    return [
        Job(number, kind, target, state, attempt, start, end, error)
        for number, kind, target, state, attempt, start, end, error in reversed(rows)
    ]


def open_jobs_of(source: Source, name: str) -> list[OpenJobs]:
    """Return how many jobs of each kind run, and how many wait.

    Raises:
        UnknownNameError: the study does not exist.
    """
    key = JobRow.state, JobRow.kind, JobRow.target
    query = select(*key, func.count()).join(Candidate, Candidate.id == JobRow.candidate_id)
    with reading(source) as session:
        query = query.where(Candidate.study_id == find_study(session, name).id, JobRow.state.in_(("running", "queued")))
        query = query.where(Candidate.state.in_(("queued", "running", "complete")))
        rows = session.execute(query.group_by(*key).order_by(JobRow.state.desc(), JobRow.kind, JobRow.target)).all()
    return [OpenJobs(*row) for row in rows]


def ended_early(source: Source, name: str) -> Sequence[Ended]:
    """Return how many candidates ended for each reason other than being complete.

    Raises:
        UnknownNameError: the study does not exist.
    """
    query = select(Candidate.state, func.coalesce(Candidate.reason, ""), func.count())
    with reading(source) as session:
        query = query.where(Candidate.study_id == find_study(session, name).id, Candidate.state.in_(ENDED[1:]))
        return [Ended(*row) for row in session.execute(query.group_by(Candidate.state, Candidate.reason))]


def num_ended(source: Source, name: str, *, trained: bool) -> int:
    """Return the number of candidates that ended; if ``trained``, only of those with a training.

    Raises:
        UnknownNameError: the study does not exist.
    """
    query = select(func.count(Candidate.id))
    with reading(source) as session:
        query = query.where(Candidate.study_id == find_study(session, name).id, Candidate.state.in_(ENDED))
        if trained:
            query = query.where(select(JobRow.id).where(JobRow.candidate_id == Candidate.id, is_training()).exists())
        return session.scalar(query) or 0
