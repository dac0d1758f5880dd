"""Sums and counts over the jobs of a study that the database computes itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from trials.store.dialect import table
from trials.store.models import JobRow
from trials.store.read.costs import study_costs
from trials.store.read.doubts import study_doubts
from trials.store.records import JobResult
from trials.store.store import Store
from trials.store.write.jobs import commit_job, start_job

JOBS = table(JobRow)
BEGIN = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
FEW, ONE_ANSWER = "trained for 3 optimiser steps only", "answers 4 to all examples"


def _train(study: Any, identity: str, state: str, result: dict[str, Any]) -> None:
    proposed, attempt = study.started(identity)
    [training] = study.store.write(commit_job, proposed.job_id, attempt, JobResult({}, next_jobs=[("train", "")]))
    attempt = study.store.write(start_job, study.lease, training.job_id)
    study.store.write(commit_job, training.job_id, attempt, JobResult(result, candidate_state=state))


def test_doubts_about_complete_candidates_are_counted(store: Store, study: Any) -> None:
    _train(study, "a", "complete", {"doubts": [FEW, ONE_ANSWER]})
    _train(study, "b", "complete", {"doubts": [FEW]})
    _train(study, "c", "complete", {"doubts": []})
    _train(study, "d", "complete", {})
    _train(study, "e", "infeasible", {"doubts": [FEW]})
    assert study_doubts(store.engine, study.name) == [
        "1 of 4 complete candidates give one answer to all validation examples",
        "2 of 4 complete candidates were trained for few optimiser steps",
    ]


def test_costs_count_candidates_and_sum_the_time_of_jobs(store: Store, study: Any) -> None:
    _train(study, "a", "complete", {})
    _train(study, "b", "infeasible", {})
    study.started("c")
    times = {"started_at": BEGIN, "finished_at": BEGIN + timedelta(seconds=90.5)}
    store.write(lambda connection: connection.execute(update(JOBS).where(JOBS.c.kind == "train").values(times)))
    found = study_costs(store.engine, study.name)
    assert (found.suggestions, found.measured, found.trained, found.retrained) == (3, 2, 2, 0)
    assert found.train_s == pytest.approx(181.0, abs=1e-3)
    assert 0 <= found.measure_s < 60
