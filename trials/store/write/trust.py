"""The trust of measurements: trusted ones may be reused, and quarantined ones are repeated."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Select, or_, select, update

from trials.store.dialect import table
from trials.store.models import Candidate, JobRow, Measurement, Target
from trials.store.read.history import open_jobs
from trials.store.records import Lease, Reopened
from trials.store.write.leases import check_lease
from trials.store.write.revisions import touch

MEASUREMENTS, TARGETS, CANDIDATES, JOBS = table(Measurement), table(Target), table(Candidate), table(JobRow)
#: Purpose of a measurement → kind of its job, if the two differ.
_KINDS = {"final": "measure", "audit": "measure"}
_ENDED = ("complete", "infeasible", "measured_only", "paused")


def verify_measurements(connection: Connection, lease: Lease, target: str) -> None:
    """After a good canary, mark the study's measurements on a target since the last canary as good.

    Raises:
        StudyError: another coordinator has taken the lease.
    """
    check_lease(connection, lease)
    unverified = MEASUREMENTS.c.id.in_(_unverified(lease.study_id, target))
    touch(connection, select(MEASUREMENTS.c.candidate_id).where(unverified))
    connection.execute(update(MEASUREMENTS).where(unverified).values(trust="good"))


def quarantine_measurements(connection: Connection, lease: Lease, target: str) -> Reopened:
    """After a bad canary, quarantine the measurements since the last good one, and reopen their jobs.

    A job becomes ``stale`` if its candidate has another open job, after which the trial repeats it; else it is queued.

    Raises:
        StudyError: another coordinator has taken the lease.
    """
    check_lease(connection, lease)
    study_id = lease.study_id
    ids = list(connection.execute(_unverified(study_id, target)).scalars())
    spoilt = or_(MEASUREMENTS.c.id.in_(ids), MEASUREMENTS.c.source_id.in_(ids))
    marked = connection.execute(select(MEASUREMENTS.c.candidate_id, MEASUREMENTS.c.purpose).where(spoilt)).all()
    touch(connection, select(MEASUREMENTS.c.candidate_id).where(spoilt))
    connection.execute(update(MEASUREMENTS).where(spoilt).values(trust="quarantined"))
    steps = _jobs_behind(connection, study_id, target, [(row.candidate_id, row.purpose) for row in marked])
    connection.execute(update(JOBS).where(JOBS.c.id.in_(steps)).values(state="stale", result=None, finished_at=None))
    _reopen(connection, sorted({candidate_id for candidate_id, _ in steps.values()}))
    queued = [job for job in open_jobs(connection, study_id) if job.job_id in steps]
    return Reopened(len(marked), {(candidate_id, (kind, target)) for candidate_id, kind in steps.values()}, queued)


def _unverified(study_id: int, target: str) -> Select[tuple[int]]:
    """Measurements of a study on a target since the last canary, without reused ones."""
    return (
        select(MEASUREMENTS.c.id)
        .join(CANDIDATES, CANDIDATES.c.id == MEASUREMENTS.c.candidate_id)
        .join(TARGETS, TARGETS.c.id == MEASUREMENTS.c.target_id)
        .where(
            CANDIDATES.c.study_id == study_id,
            TARGETS.c.name == target,
            MEASUREMENTS.c.trust == "unverified",
            MEASUREMENTS.c.source_id.is_(None),
        )
    )


def _jobs_behind(
    connection: Connection, study_id: int, target: str, marked: Sequence[tuple[int, str]]
) -> dict[int, tuple[int, str]]:
    """Job id → (candidate, kind) of finished jobs whose results come from marked measurements.

    A gate does not count if its candidate was measured again later. The latency of a dense twin is the result of the
    twin jobs of all candidates that have this twin.
    """
    columns = (JOBS.c.id, JOBS.c.candidate_id, JOBS.c.kind, JOBS.c.result)
    query = select(*columns).join(CANDIDATES, CANDIDATES.c.id == JOBS.c.candidate_id)
    query = query.where(CANDIDATES.c.study_id == study_id, JOBS.c.target == target, JOBS.c.state == "done")
    done = connection.execute(query).all()
    spoilt = {(candidate_id, _KINDS.get(purpose, purpose)) for candidate_id, purpose in marked}
    measured = {row.candidate_id for row in done if row.kind == "measure"}
    twins = {row.result["twin"] for row in done if (row.candidate_id, row.kind) in spoilt and row.kind == "twin"}
    found = {}
    for row in done:
        kind = row.kind.partition("-")[0]
        is_history = kind == "gate" and row.candidate_id in measured
        is_child = kind == "twin" and row.result.get("twin") in twins
        if ((row.candidate_id, kind) in spoilt and not is_history) or is_child:
            found[row.id] = row.candidate_id, row.kind
    return found


def _reopen(connection: Connection, candidates: Sequence[int]) -> None:
    """Queue the first stale job of each ended candidate, which is running again, or complete if the job is a repeat."""
    ended = CANDIDATES.c.id.in_(candidates), CANDIDATES.c.state.in_(_ENDED)
    ids = list(connection.execute(select(CANDIDATES.c.id).where(*ended)).scalars())
    stale = JOBS.c.candidate_id.in_(ids), JOBS.c.state == "stale"
    rows = connection.execute(select(JOBS.c.id, JOBS.c.candidate_id).where(*stale).order_by(JOBS.c.id.desc()))
    first = {row.candidate_id: row.id for row in rows}
    connection.execute(update(JOBS).where(JOBS.c.id.in_(first.values())).values(state="queued"))
    repeated = select(JOBS.c.candidate_id).where(JOBS.c.id.in_(first.values()), JOBS.c.kind.startswith("remeasure-"))
    opened = update(CANDIDATES).where(CANDIDATES.c.id.in_(ids))
    connection.execute(opened.where(CANDIDATES.c.id.in_(repeated)).values(state="complete", reason=None))
    again = opened.where(CANDIDATES.c.id.not_in(repeated))
    connection.execute(again.values(state="running", reason=None, finished_at=None))
