"""Read when the trials of a study and their jobs began and ended, those that changed last at the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session, defer

from trials.store.models import Candidate, JobRow, Study
from trials.store.read.activity import ENDED, Job
from trials.store.read.session import Source, find_study, reading
from trials.store.read.states import present_state


@dataclass(frozen=True)
class TracedStudy:
    """A study from its creation to its end; without an end while it can go on."""

    name: str
    #: See ``trials.store.read.states.present_state``.
    state: str
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class TracedTrial:
    """A trial that has ended, with the last attempt of each of its jobs."""

    #: Revision and id of the candidate: trials that change later have a larger one.
    place: tuple[int, int]
    number: int
    state: str
    reason: str | None
    created_at: datetime
    finished_at: datetime
    jobs: Sequence[Job]


def traced_study(source: Source, name: str) -> TracedStudy:
    """Return a study.

    Raises:
        UnknownNameError: it does not exist.
    """
    with reading(source) as session:
        study = find_study(session, name)
        state = session.scalars(select(present_state()).where(Study.id == study.id)).one()
        return TracedStudy(study.name, state, study.created_at, study.finished_at)


def traced_trials(source: Source, name: str, after: tuple[int, int], limit: int) -> list[TracedTrial]:
    """Return the first ``limit`` ended trials of a study with a ``place`` larger than ``after``, in this order.

    Raises:
        UnknownNameError: the study does not exist.
    """
    place = Candidate.revision, Candidate.id
    columns = Candidate.number, Candidate.state, Candidate.reason, Candidate.created_at, Candidate.finished_at
    with reading(source) as session:
        ended = select(*place, *columns).where(
            Candidate.study_id == find_study(session, name).id,
            Candidate.state.in_(ENDED),
            Candidate.finished_at.is_not(None),
            tuple_(*place) > tuple_(*after),
        )
        rows = session.execute(ended.order_by(*place).limit(limit)).all()
        jobs = _jobs_of(session, {row.id: row.number for row in rows})
    return [
        TracedTrial((row.revision, row.id), row.number, row.state, row.reason, row.created_at, row.finished_at, made)
        for row in rows
        if row.finished_at is not None
        for made in [jobs[row.id]]
    ]


def _jobs_of(session: Session, numbers: Mapping[int, int]) -> Mapping[int, Sequence[Job]]:
    """Return the jobs of candidates, given their numbers by their ids."""
    jobs: dict[int, list[Job]] = defaultdict(list)
    query = select(JobRow).options(defer(JobRow.result)).where(JobRow.candidate_id.in_(numbers))
    for row in session.scalars(query.order_by(JobRow.id)):
        times = row.started_at, row.finished_at
        number = numbers[row.candidate_id]
        jobs[row.candidate_id].append(Job(number, row.kind, row.target, row.state, row.attempt, *times, row.error))
    return jobs
