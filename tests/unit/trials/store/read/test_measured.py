"""What the database knows about measurements."""

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


def test_the_age_of_a_measurement_counts_only_the_candidates_own_good_samples(study) -> None:
    """Its own good samples are 9 and 5 s old. A sample from a bad target (3 s), its twin's, and a reused one do not
    count.
    """
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
