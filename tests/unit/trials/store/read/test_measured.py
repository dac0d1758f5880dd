"""What is known of measurements, from the tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from trials.store.models import Measurement
from trials.store.read.measured import measurement_ages_s
from trials.store.records import JobResult, MeasurementValue
from trials.store.write.jobs import commit_job

LATENCY = MeasurementValue("local", "gate", 1.0, 0.9, 1.1, "abc", {}, b"samples")


def test_how_long_ago_a_candidate_was_measured_is_told_of_its_own_good_samples(study) -> None:
    """Measured 9 and 5 s ago; 3 s ago on a bad target, and its twin just now; another was answered from 9 s ago."""
    ids = []
    for identity, values in {
        "a": [LATENCY, replace(LATENCY, purpose="remeasure"), replace(LATENCY, trust="quarantined")],
        "b": [replace(LATENCY, source_id=1), replace(LATENCY, purpose="twin")],
        "c": [],
    }.items():
        proposed, attempt = study.started(identity)
        study.store.write(commit_job, proposed.job_id, attempt, JobResult({}, measurements=values))
        ids = [row.id for row in study.rows(Measurement)]
    assert len(ids) == 5
    with study.store.transaction() as connection:
        for key, seconds in zip(ids, (9, 5, 3, 1, 0), strict=True):
            taken = update(Measurement).where(Measurement.id == key)
            connection.execute(taken.values(created_at=datetime.now(UTC) - timedelta(seconds=seconds)))
    assert study.store.read(measurement_ages_s, study.id) == pytest.approx(
        {(0, "local"): 5.0, (1, "local"): 9.0}, abs=1.0
    )
