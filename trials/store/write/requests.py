"""Requests to the coordinator of a study, from any machine that reaches the database."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection, bindparam, exists, or_, select, update

from trials.store.dialect import table
from trials.store.models import Candidate, JobRow, Study
from trials.store.records import Lease
from trials.store.write.jobs import stop_candidate

#: ``pause``: end and leave the rest to ``nas resume``; ``stop``: end the study with the results it has.
Request = Literal["pause", "stop"]

STUDIES, CANDIDATES, JOBS = table(Study), table(Candidate), table(JobRow)
_READ = select(STUDIES.c.request).where(STUDIES.c.id == bindparam("study"))


def add_request(connection: Connection, study_id: int, request: Request) -> None:
    """Ask the coordinator of a study to end; it looks for requests every few seconds."""
    connection.execute(update(STUDIES).where(STUDIES.c.id == study_id).values(request=request))


def read_request(connection: Connection, study_id: int) -> Request | None:
    """Return what the coordinator of a study was asked to do."""
    found: Request | None = connection.execute(_READ, {"study": study_id}).scalar_one_or_none()
    return found


def stop_candidates(connection: Connection, lease: Lease, reason: str) -> None:
    """Stop all candidates of a study that have not ended; complete ones only lose open repeats.

    Raises:
        StudyError: another coordinator has taken the lease.
    """
    has_jobs = exists().where(JOBS.c.candidate_id == CANDIDATES.c.id, JOBS.c.state.in_(("queued", "running")))
    under_way = CANDIDATES.c.study_id == lease.study_id, or_(CANDIDATES.c.state == "paused", has_jobs)
    for number in connection.execute(select(CANDIDATES.c.number).where(*under_way)).scalars().all():
        stop_candidate(connection, lease, number, reason)
