"""Read measurements that may be reused for other candidates, and the age and samples of a candidate's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, select

from trials.store.dialect import Clock, table
from trials.store.models import Candidate, Measurement, Target
from trials.store.records import Earlier, KnownMeasurement

MEASUREMENTS, TARGETS, CANDIDATES = table(Measurement), table(Target), table(Candidate)


def target_descriptions(connection: Connection) -> dict[int, Mapping[str, Any]]:
    """Id of a target → its description."""
    return {row.id: row.description for row in connection.execute(select(TARGETS.c.id, TARGETS.c.description))}


def known_conditions(
    connection: Connection, target_ids: Sequence[int], protocol: int, runtime_version: str, limit: int
) -> list[tuple[str, Mapping[str, Any], float, float]]:
    """``(structure hash, conditions, latency_ms, low_ms)`` of measurements that may be reused, newest first."""
    columns = (MEASUREMENTS.c.structure_hash, MEASUREMENTS.c.conditions)
    query = _reusable(select(*columns, MEASUREMENTS.c.latency_ms, MEASUREMENTS.c.low_ms), target_ids)
    query = query.where(
        MEASUREMENTS.c.conditions["protocol"].as_integer() == protocol,
        MEASUREMENTS.c.conditions["runtime_version"].as_string() == runtime_version,
    )
    return [tuple(row) for row in connection.execute(query.limit(limit))]


def known_measurements(
    connection: Connection, target_ids: Sequence[int], structure_hash: str
) -> list[KnownMeasurement]:
    """Measurements of a structure that may be reused, newest first."""
    names = ("id", "source_id", "latency_ms", "low_ms", "high_ms", "conditions", "samples")
    query = _reusable(select(*(MEASUREMENTS.c[name] for name in names)), target_ids)
    rows = connection.execute(query.where(MEASUREMENTS.c.structure_hash == structure_hash))
    return [KnownMeasurement(**row._mapping) for row in rows]


def measurement_ages_s(connection: Connection, study_id: int) -> dict[tuple[int, str], float]:
    """(number of a candidate, target) → seconds since its newest samples were measured, by the database's clock.

    A reused measurement is as old as its source. Dense twins and quarantined measurements do not count.
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


def earlier_samples(connection: Connection, candidate_id: int, target: str, structure_hash: str) -> list[Earlier]:
    """Samples of a candidate's measurements of one structure on a target, oldest first, without quarantined ones."""
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


def _reusable(query: Select[Any], target_ids: Sequence[int]) -> Select[Any]:
    trusted = MEASUREMENTS.c.target_id.in_(target_ids), MEASUREMENTS.c.trust != "quarantined"
    return query.where(*trusted).order_by(MEASUREMENTS.c.id.desc())
