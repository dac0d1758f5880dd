"""Queue further jobs of complete candidates: repeats, and dense twins that could not be measured."""

from __future__ import annotations

from sqlalchemy import Connection, null, update

from trials.store.dialect import table
from trials.store.models import Candidate, JobRow
from trials.store.read.history import open_jobs
from trials.store.read.twins import untimed_twins
from trials.store.records import Lease, OpenJob, Step
from trials.store.write.leases import check_lease
from trials.store.write.proposals import add_job, find_candidate

JOBS, CANDIDATES = table(JobRow), table(Candidate)


def queue_training(connection: Connection, lease: Lease, number: int, step: Step) -> OpenJob:
    """Queue the training, or a part of it, of a ``measured_only`` or ``paused`` candidate, which runs again.

    Raises:
        StudyError: another coordinator has taken the lease.
    """
    check_lease(connection, lease)
    candidate_id = find_candidate(connection, lease.study_id, number)
    again = {"state": "running", "reason": None, "finished_at": None}
    connection.execute(update(CANDIDATES).where(CANDIDATES.c.id == candidate_id).values(**again))
    job_id = add_job(connection, candidate_id, step).job_id
    return next(job for job in open_jobs(connection, lease.study_id) if job.job_id == job_id)


def queue_repeat(connection: Connection, lease: Lease, number: int, step: Step) -> OpenJob:
    """Queue a repeat of a complete candidate.

    Raises:
        StudyError: another coordinator has taken the lease.
    """
    check_lease(connection, lease)
    study_id = lease.study_id
    job_id = add_job(connection, find_candidate(connection, study_id, number), step).job_id
    return next(job for job in open_jobs(connection, study_id) if job.job_id == job_id)


def reopen_twins(connection: Connection, lease: Lease) -> list[OpenJob]:
    """Queue the jobs of a study again whose dense twins could not be measured.

    Raises:
        StudyError: another coordinator has taken the lease.
    """
    check_lease(connection, lease)
    ids = {row.id for row in untimed_twins(connection, lease.study_id)}
    if not ids:
        return []
    connection.execute(update(JOBS).where(JOBS.c.id.in_(ids)).values(state="queued", finished_at=None, result=null()))
    return [job for job in open_jobs(connection, lease.study_id) if job.job_id in ids]
