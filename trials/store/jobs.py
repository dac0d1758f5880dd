"""Jobs: started, renewed, put back, and committed at most once.

Every change compares the attempt: a worker that was given up and reports after all changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import CursorResult, insert, select, update
from sqlalchemy.orm import Session

from nas.errors import StoreError, StudyError
from trials.store.leases import now
from trials.store.models import ArtifactRow, Candidate, EpochRow, JobRow, Measurement, Metric, Target
from trials.store.proposals import add_job, upsert
from trials.store.records import JobResult, MeasurementValue, MetricValue

log = logging.getLogger(__name__)
FINAL = ("complete", "infeasible", "stopped", "failed")


def start(session: Session, job_id: int, lease_s: float) -> int:
    """Mark a queued job as running; the attempt's number."""
    clock = now(session)
    attempt = session.execute(
        update(JobRow)
        .where(JobRow.id == job_id, JobRow.state == "queued")
        .values(
            state="running",
            attempt=JobRow.attempt + 1,
            started_at=clock,
            lease_expires_at=clock + timedelta(seconds=lease_s),
        )
        .returning(JobRow.attempt, JobRow.candidate_id)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if attempt is None:
        raise StudyError(f"job {job_id} is not queued; another coordinator has it")
    _set_candidate(session, attempt.candidate_id, "running", only_from="queued")
    return int(attempt.attempt)


def renew(session: Session, job_id: int, attempt: int, lease_s: float) -> bool:
    """Extend a job's lease."""
    return _change(session, job_id, attempt, lease_expires_at=now(session) + timedelta(seconds=lease_s))


def requeue(session: Session, job_id: int, attempt: int, error: str) -> bool:
    """Put a job back whose worker was lost."""
    return _change(session, job_id, attempt, state="queued", lease_expires_at=None, error=error)


def is_current(session: Session, job_id: int, attempt: int) -> bool:
    """Whether the attempt is the running one."""
    found = session.scalar(
        select(JobRow.id).where(JobRow.id == job_id, JobRow.attempt == attempt, JobRow.state == "running")
    )
    return found is not None


def commit(session: Session, job_id: int, attempt: int, outcome: JobResult) -> list[int] | None:
    """Write a job's outcome; ids of the next jobs, None where the attempt is over."""
    clock = now(session)
    done = _change(
        session,
        job_id,
        attempt,
        state="done",
        finished_at=clock,
        lease_expires_at=None,
        result=dict(outcome.result),
        error=None,
    )
    if not done:
        log.warning("attempt %d of job %d reported late; its result is discarded", attempt, job_id)
        return None
    candidate_id = session.execute(select(JobRow.candidate_id).where(JobRow.id == job_id)).scalar_one()
    _add_metrics(session, candidate_id, outcome.metrics)
    for measurement in outcome.measurements:
        add_measurement(session, candidate_id, measurement)
    for artifact in outcome.artifacts:
        values = {**vars(artifact), "record": dict(artifact.record)}
        session.execute(insert(ArtifactRow).values(candidate_id=candidate_id, created_at=clock, **values))
    if outcome.candidate_state is not None:
        _set_candidate(session, candidate_id, outcome.candidate_state, reason=outcome.reason)
    return [add_job(session, candidate_id, step) for step in outcome.next_jobs]


def fail(session: Session, job_id: int, attempt: int, error: str, traceback: str) -> bool:
    """Mark a job and its candidate failed."""
    done = _change(
        session, job_id, attempt, state="failed", finished_at=now(session), lease_expires_at=None, error=error
    )
    if done:
        candidate_id = session.execute(select(JobRow.candidate_id).where(JobRow.id == job_id)).scalar_one()
        _set_candidate(session, candidate_id, "failed", reason=error, traceback=traceback)
    return done


def stop(session: Session, candidate_id: int, reason: str) -> None:
    """End a candidate and its open jobs."""
    session.execute(
        update(JobRow)
        .where(JobRow.candidate_id == candidate_id, JobRow.state.in_(("queued", "running")))
        .values(state="failed", lease_expires_at=None, error=reason, finished_at=now(session))
        .execution_options(synchronize_session=False)
    )
    _set_candidate(session, candidate_id, "stopped", reason=reason)


def recover(session: Session, study_id: int) -> int:
    """Put running jobs of a study back into the queue; late reports of their attempts are refused from now on."""
    ours = select(Candidate.id).where(Candidate.study_id == study_id)
    done = session.execute(
        update(JobRow)
        .where(JobRow.state == "running", JobRow.candidate_id.in_(ours))
        .values(state="queued", lease_expires_at=None)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(done, CursorResult)
    return done.rowcount


def add_epochs(
    session: Session, candidate_id: int, epochs: Sequence[tuple[int, Mapping[str, float]]]
) -> None:
    """Add points of a curve; those that are there stay."""
    rows = [{"candidate_id": candidate_id, "epoch": epoch, "values": dict(values)} for epoch, values in epochs]
    if rows:
        session.execute(upsert(session, EpochRow).values(rows).on_conflict_do_nothing())


def add_measurement(session: Session, candidate_id: int, value: MeasurementValue) -> None:
    """One latency with its samples."""
    target_id = session.scalar(select(Target.id).where(Target.name == value.target))
    if target_id is None:
        raise StoreError(f"target {value.target!r} is not in the database; it was removed while in use")
    columns = {key: item for key, item in vars(value).items() if key != "target"}
    columns["conditions"] = dict(value.conditions)
    session.execute(
        insert(Measurement).values(
            candidate_id=candidate_id, target_id=target_id, created_at=now(session), **columns
        )
    )


def _add_metrics(session: Session, candidate_id: int, metrics: Sequence[MetricValue]) -> None:
    if not metrics:
        return
    rows = [{"candidate_id": candidate_id, **vars(metric)} for metric in metrics]
    statement = upsert(session, Metric).values(rows)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["candidate_id", "name", "target"],
            set_={name: statement.excluded[name] for name in ("value", "low", "high")},
        )
    )


def _change(session: Session, job_id: int, attempt: int, **values: Any) -> bool:
    done = session.execute(
        update(JobRow)
        .where(JobRow.id == job_id, JobRow.attempt == attempt, JobRow.state == "running")
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(done, CursorResult)
    return done.rowcount == 1


def _set_candidate(
    session: Session,
    candidate_id: int,
    state: str,
    *,
    reason: str | None = None,
    traceback: str | None = None,
    only_from: str | None = None,
) -> None:
    condition = Candidate.state == only_from if only_from else Candidate.state.not_in(FINAL)
    finished = now(session) if state in FINAL else None
    session.execute(
        update(Candidate)
        .where(Candidate.id == candidate_id, condition)
        .values(state=state, reason=reason, traceback=traceback, finished_at=finished)
        .execution_options(synchronize_session=False)
    )
