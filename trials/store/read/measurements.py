"""The latencies of a study as they were measured, without raw samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, select

from trials.store.models import Candidate, Measurement, Metric, Target
from trials.store.read.candidates import Value
from trials.store.read.session import Source, find_study, reading

#: Largest number of measurements to read.
MAX_MEASUREMENTS = 2000


@dataclass(frozen=True)
class Measured:
    """One measurement of a trial, or of its dense twin, on a target."""

    number: int
    target: str
    #: ``gate``, ``final``, ``audit``, ``remeasure`` or ``twin``.
    purpose: str
    #: Milliseconds, with the ends of the 95 % interval.
    latency: Value
    #: The latency that is recorded for the trial on this target, in milliseconds; None if there is none.
    recorded: Value | None
    structure_hash: str
    #: ``unverified``, ``good`` or ``quarantined``.
    trust: str
    #: Whether it is a copy of a stored measurement of an equal structure.
    reused: bool
    #: Whether it ended early, because the latency was certainly over the limit.
    rejected: bool
    #: The canary before it: ``drift``, ``throttled``, ``warnings``, …; empty if none was recorded.
    health: Mapping[str, Any]
    #: What disturbed it, in words.
    disturbed_by: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True)
class Measurements:
    """The newest measurements of a study, and counts of all."""

    #: At most ``MAX_MEASUREMENTS``, oldest first.
    rows: tuple[Measured, ...]
    #: Target → trust → number of measurements, copies not counted.
    trust: Mapping[str, Mapping[str, int]]


def measurements(source: Source, name: str, limit: int = MAX_MEASUREMENTS) -> Measurements:
    """The newest measurements of the study ``name``.

    Raises:
        UnknownNameError: the study does not exist.
    """
    with reading(source) as session:
        study = find_study(session, name)
        conditions = Measurement.conditions
        own = (
            select(Candidate.number, Target.name)
            .select_from(Measurement)
            .join(Candidate, Candidate.id == Measurement.candidate_id)
            .join(Target, Target.id == Measurement.target_id)
            .where(Candidate.study_id == study.id)
        )
        recorded = and_(Metric.candidate_id == Candidate.id, Metric.name == "latency_ms", Metric.target == Target.name)
        query = own.outerjoin(Metric, recorded).add_columns(
            Measurement.purpose,
            *(Measurement.latency_ms, Measurement.low_ms, Measurement.high_ms),
            *(Metric.value, Metric.low, Metric.high),
            *(Measurement.structure_hash, Measurement.trust, Measurement.source_id, Measurement.created_at),
            *(conditions[key] for key in ("health", "disturbed_by", "rejected")),
        )
        rows = session.execute(query.order_by(Measurement.id.desc()).limit(limit)).all()
        counted = own.with_only_columns(Target.name, Measurement.trust, func.count())
        counted = counted.where(Measurement.source_id.is_(None)).group_by(Target.name, Measurement.trust)
        trust: dict[str, dict[str, int]] = {}
        for target, word, count in session.execute(counted):
            trust.setdefault(target, {})[word] = count
        return Measurements(tuple(_measured(row) for row in reversed(rows)), trust)


def _measured(row: Any) -> Measured:
    number, target, purpose, ms, low, high, value, value_low, value_high, structure, trust, source_id, at, *rest = row
    health, disturbed_by, rejected = rest
    return Measured(
        number=number,
        target=target,
        purpose=purpose,
        latency=Value(ms, low, high),
        recorded=None if value is None else Value(value, value_low, value_high),
        structure_hash=structure,
        trust=trust,
        reused=source_id is not None,
        rejected=bool(rejected),
        health=health if isinstance(health, Mapping) else {},
        disturbed_by=tuple(map(str, disturbed_by or ())),
        created_at=at,
    )
