"""Jobs: started, put back, and committed at most once.

Every change names an attempt: a worker that was given up but reports later changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, bindparam, null, or_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from nas.errors import StudyError
from trials.store.dialect import Clock, Insert, table, text_of
from trials.store.models import Candidate, EpochRow, JobRow
from trials.store.records import AddedJob, JobResult, Lease, Step
from trials.store.write.leases import check_lease
from trials.store.write.outcomes import write_files, write_measurements, write_metrics
from trials.store.write.proposals import add_job, find_candidate
from trials.store.write.revisions import touch

log = logging.getLogger(__name__)
JOBS, CANDIDATES, EPOCHS = table(JobRow), table(Candidate), table(EpochRow)
FINAL = ("complete", "infeasible", "stopped", "failed")

_START = (
    update(JOBS)
    .where(JOBS.c.id == bindparam("job"), JOBS.c.state == "queued")
    .values(state="running", attempt=JOBS.c.attempt + 1, started_at=Clock())
    .returning(JOBS.c.attempt, JOBS.c.candidate_id)
)
#: The running attempt of a job; changes by other attempts find no row.
_CURRENT = (
    update(JOBS)
    .where(JOBS.c.id == bindparam("job"), JOBS.c.attempt == bindparam("current"), JOBS.c.state == "running")
    .returning(JOBS.c.candidate_id)
)
_REQUEUE = _CURRENT.values(state="queued", error=bindparam("why"))
_FINISH = _CURRENT.values(state="done", finished_at=Clock(), result=bindparam("outcome"), error=null())
_FAIL = _CURRENT.values(state="failed", finished_at=Clock(), error=bindparam("why"))
_IS_CURRENT = select(JOBS.c.id).where(
    JOBS.c.id == bindparam("job"), JOBS.c.attempt == bindparam("current"), JOBS.c.state == "running"
)
_WORK_ON = (
    update(CANDIDATES)
    .where(CANDIDATES.c.id == bindparam("candidate"), CANDIDATES.c.state == "queued")
    .values(state="running")
)
_END = (
    update(CANDIDATES)
    .where(
        CANDIDATES.c.id == bindparam("candidate"),
        # A final state never changes, except that a repeat may find a complete candidate to exceed a limit.
        or_(
            CANDIDATES.c.state.not_in(FINAL),
            and_(CANDIDATES.c.state == "complete", bindparam("final") == "infeasible"),
        ),
    )
    .values(state=bindparam("final"), reason=bindparam("why"), traceback=bindparam("trace"), finished_at=Clock())
)
_ADD_EPOCHS = Insert(EPOCHS, ("candidate_id", "epoch"), replace=("values",))


def start_job(connection: Connection, lease: Lease, job_id: int) -> int:
    """Mark a queued job as running, and return the number of the attempt.

    Raises:
        StudyError: the job is not queued, or another coordinator has taken the lease.
    """
    check_lease(connection, lease)
    started = connection.execute(_START, {"job": job_id}).one_or_none()
    if started is None:
        raise StudyError(f"job {job_id} is not queued; another coordinator has it")
    connection.execute(_WORK_ON, {"candidate": started.candidate_id})
    return int(started.attempt)


def requeue_job(connection: Connection, job_id: int, attempt: int, error: str) -> bool:
    """Queue a job again whose worker was lost; False if the attempt is over."""
    return _change(connection, _REQUEUE, job_id, attempt, why=text_of(error)) is not None


def commit_job(
    connection: Connection, job_id: int, attempt: int, outcome: JobResult, start: Collection[Step] = ()
) -> list[AddedJob] | None:
    """Write the outcome of a job; return the jobs that follow, or None if the attempt is over.

    Those of the steps ``start`` are running at once.
    """
    candidate_id = _change(connection, _FINISH, job_id, attempt, outcome=dict(outcome.result))
    if candidate_id is None:
        log.warning("attempt %d of job %d reported late; its result is discarded", attempt, job_id)
        return None
    write_metrics(connection, candidate_id, outcome.metrics)
    write_measurements(connection, candidate_id, outcome.measurements)
    write_files(connection, candidate_id, outcome.artifacts)
    ended = outcome.candidate_state is not None and _end(
        connection, candidate_id, outcome.candidate_state, outcome.reason
    )
    if outcome.metrics and not ended:
        touch(connection, candidate_id)
    return [add_job(connection, candidate_id, step, start=step in start) for step in outcome.next_jobs]


def fail_job(connection: Connection, job_id: int, attempt: int, error: str, traceback: str) -> bool:
    """Mark a job and its candidate failed; False if the attempt is over."""
    candidate_id = _change(connection, _FAIL, job_id, attempt, why=text_of(error))
    if candidate_id is not None:
        _end(connection, candidate_id, "failed", error, traceback)
    return candidate_id is not None


def stop_candidate(connection: Connection, lease: Lease, number: int, reason: str) -> None:
    """Stop a candidate and end its open jobs without a result.

    Raises:
        StudyError: another coordinator has taken the lease.
    """
    check_lease(connection, lease)
    candidate_id = find_candidate(connection, lease.study_id, number)
    connection.execute(
        update(JOBS)
        .where(JOBS.c.candidate_id == candidate_id, JOBS.c.state.in_(("queued", "running")))
        .values(state="failed", error=text_of(reason), finished_at=Clock())
    )
    _end(connection, candidate_id, "stopped", reason)


def recover_jobs(connection: Connection, lease: Lease) -> int:
    """Queue the jobs again that a dead coordinator left running, end their attempts, and return how many there are.

    Raises:
        StudyError: another coordinator has taken the lease.
    """
    check_lease(connection, lease)
    ours = select(CANDIDATES.c.id).where(CANDIDATES.c.study_id == lease.study_id)
    done = connection.execute(
        update(JOBS).where(JOBS.c.state == "running", JOBS.c.candidate_id.in_(ours)).values(state="queued")
    )
    return done.rowcount


def add_epochs(
    connection: Connection,
    candidate_id: int,
    job_id: int,
    attempt: int,
    epochs: Sequence[tuple[int, Mapping[str, float]]],
) -> None:
    """Add the values of epochs; an epoch that was trained again replaces its values. A late attempt adds nothing."""
    current = connection.execute(_IS_CURRENT, {"job": job_id, "current": attempt}).one_or_none()
    rows = [{"candidate_id": candidate_id, "epoch": epoch, "values": dict(values)} for epoch, values in epochs]
    if current is not None and rows:
        _ADD_EPOCHS.run(connection, rows)


def _change(
    connection: Connection, statement: ReturningUpdate[Any], job_id: int, attempt: int, **values: Any
) -> int | None:
    """Apply a change to the running attempt; return the id of its candidate, None if the attempt is over."""
    found = connection.execute(statement, {"job": job_id, "current": attempt, **values}).scalar_one_or_none()
    return None if found is None else int(found)


def _end(
    connection: Connection, candidate_id: int, state: str, reason: str | None, traceback: str | None = None
) -> bool:
    """End a candidate; False if its final state stays as it is."""
    values = {"candidate": candidate_id, "final": state, "why": text_of(reason), "trace": text_of(traceback)}
    return connection.execute(_END, values).rowcount == 1
