"""Repeats of complete candidates: measured again, trained again."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Connection, func, or_, select

from trials.store.dialect import Clock, table
from trials.store.models import Candidate, JobRow, Measurement, Target
from trials.store.records import Earlier, OpenJob, Step
from trials.store.write.history import open_jobs
from trials.store.write.proposals import add_job

JOBS, CANDIDATES, MEASUREMENTS, TARGETS = table(JobRow), table(Candidate), table(Measurement), table(Target)
#: Kinds of jobs that are repeated; the row says which time it is, ``retrain-2``.
KINDS = ("remeasure", "retrain")


def counts(connection: Connection, study_id: int) -> Counter[tuple[int, str, str]]:
    """(candidate's number, kind, target) → repeats in any state."""
    repeated = or_(*(JOBS.c.kind.startswith(f"{kind}-") for kind in KINDS))
    query = select(CANDIDATES.c.number, JOBS.c.kind, JOBS.c.target)
    query = query.join(CANDIDATES, CANDIDATES.c.id == JOBS.c.candidate_id)
    rows = connection.execute(query.where(CANDIDATES.c.study_id == study_id, repeated))
    return Counter((number, kind.partition("-")[0], target) for number, kind, target in rows)


def ages_s(connection: Connection, study_id: int) -> dict[tuple[int, str], float]:
    """(candidate's number, target) → seconds since its newest samples were taken there, by the database's clock.

    Samples that answered for it are as old as they were; its dense twin's and quarantined ones are not its own.
    """
    sources = MEASUREMENTS.alias("sources")
    taken_at = func.max(func.coalesce(sources.c.created_at, MEASUREMENTS.c.created_at))
    query = (
        select(CANDIDATES.c.number, TARGETS.c.name, taken_at.label("taken_at"), Clock().label("clock"))
        .select_from(MEASUREMENTS)
        .join(CANDIDATES, CANDIDATES.c.id == MEASUREMENTS.c.candidate_id)
        .join(TARGETS, TARGETS.c.id == MEASUREMENTS.c.target_id)
        .outerjoin(sources, sources.c.id == MEASUREMENTS.c.source_id)
        .where(
            CANDIDATES.c.study_id == study_id,
            MEASUREMENTS.c.purpose != "twin",
            MEASUREMENTS.c.trust != "quarantined",
        )
        .group_by(CANDIDATES.c.number, TARGETS.c.name)
    )
    rows = connection.execute(query)
    return {(row.number, row.name): (row.clock - row.taken_at).total_seconds() for row in rows}


def queue(connection: Connection, study_id: int, number: int, step: Step) -> OpenJob:
    """Add a repeat of a complete candidate."""
    query = select(CANDIDATES.c.id).where(CANDIDATES.c.study_id == study_id, CANDIDATES.c.number == number)
    job_id = add_job(connection, connection.execute(query).scalar_one(), step)
    return next(job for job in open_jobs(connection, study_id) if job.job_id == job_id)


def earlier(connection: Connection, candidate_id: int, target: str, structure_hash: str) -> list[Earlier]:
    """Samples of a candidate's measurements on a target as it is now, oldest first."""
    query = (
        select(MEASUREMENTS.c.samples, MEASUREMENTS.c.conditions)
        .join(TARGETS, TARGETS.c.id == MEASUREMENTS.c.target_id)
        .where(
            MEASUREMENTS.c.candidate_id == candidate_id,
            TARGETS.c.name == target,
            MEASUREMENTS.c.structure_hash == structure_hash,
            MEASUREMENTS.c.purpose != "twin",
            MEASUREMENTS.c.trust != "quarantined",
        )
        .order_by(MEASUREMENTS.c.id)
    )
    return [Earlier(samples, conditions["reference_ms"]) for samples, conditions in connection.execute(query)]
