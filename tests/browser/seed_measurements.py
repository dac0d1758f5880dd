"""Canaries, repeats, disturbed and quarantined measurements of the study ``pair``."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from tests.browser.seed import REFERENCE_MS, samples_of
from trials.store.models import Candidate, Measurement, Study

#: Numbers of the trials that were measured again, and the ratio of the second latency to the first one.
AGAIN = {0: 1.002, 2: 0.997, 4: 1.15}
DISTURBED = 3


def seed_measurements(engine: Engine, name: str = "pair") -> None:
    """Add to the study ``name``: a canary before every four measurements, three repeats, and one disturbance."""
    with Session(engine) as session:
        study = session.scalars(select(Study).where(Study.name == name)).one()
        query = select(Measurement, Candidate.number).join(Candidate, Candidate.id == Measurement.candidate_id)
        rows = session.execute(query.where(Candidate.study_id == study.id).order_by(Measurement.id)).all()
        for place, (row, number) in enumerate(rows):
            row.conditions = {**row.conditions, **_conditions(place, number)}
            row.trust = "good" if place < 8 else "unverified"
            if number in AGAIN:
                session.add(_repeat(row, number))
        session.commit()


def _conditions(place: int, number: int) -> dict[str, Any]:
    drift = 0.01 * (place // 4)
    warnings = ["load 9.1 on 2 cores"] if place >= 8 else []
    return {
        "health": {"rung": "r1", "drift": drift, "throttled": 0.0, "warnings": warnings},
        "disturbed_by": ["others kept the measuring core busy 46% of the time"] if number == DISTURBED else [],
    }


def _repeat(first: Measurement, number: int) -> Measurement:
    """A second measurement an hour later, with an interval of ±1 %."""
    latency = first.latency_ms * AGAIN[number]
    return Measurement(
        candidate_id=first.candidate_id,
        target_id=first.target_id,
        purpose="remeasure",
        latency_ms=latency,
        low_ms=0.99 * latency,
        high_ms=1.01 * latency,
        structure_hash=first.structure_hash,
        trust="good",
        conditions={"reference_ms": REFERENCE_MS, "health": {"rung": "r1", "drift": 0.12, "throttled": 0.0}},
        samples=samples_of(latency, Random(number)),
        created_at=first.created_at + timedelta(hours=1),
    )
