"""Columns read only candidates that changed, and equal what a new reader reads; on both kinds of database."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sqlalchemy import event, select, update

from tests.unit.trials.store.conftest import new_study
from trials.store.models import Candidate
from trials.store.read.columns import StudyColumns
from trials.store.read.session import reading
from trials.store.records import JobResult, MetricValue
from trials.store.write.jobs import commit_job, fail_job, start_job
from trials.store.write.leases import release_lease
from trials.store.write.repeats import queue_training

NAMES = ["number", "accuracy", "latency_ms", "macs"]


def finish(study: Any, identity: str, state: str, **values: float) -> int:
    proposed, attempt = study.started(identity)
    metrics = [
        MetricValue(name, "local" if name == "latency_ms" else "", value, value - 1, value + 1)
        for name, value in values.items()
    ]
    outcome = JobResult({}, metrics=metrics, candidate_state=state)
    study.store.write(commit_job, proposed.job_id, attempt, outcome)
    return proposed.candidate_id


def read(study: Any, columns: StudyColumns | None = None) -> Any:
    with reading(study.store) as session:
        return (columns or StudyColumns(study.name)).read(session, NAMES)


def assert_up_to_date(study: Any, columns: StudyColumns) -> None:
    for known, new in zip(read(study, columns), read(study), strict=True):
        np.testing.assert_array_equal(known, new)


def test_columns_follow_every_change(study) -> None:
    columns = StudyColumns(study.name)
    numbers, states, cells = read(study, columns)
    assert (len(numbers), len(states), [cell.shape for cell in cells]) == (0, 0, [(0, 3)] * 4)
    finish(study, "a", "complete", accuracy=0.5, latency_ms=3.0)
    waiting = finish(study, "b", "measured_only", latency_ms=4.0)
    assert_up_to_date(study, columns)
    queued = study.store.write(queue_training, study.lease, 1, ("train", ""))
    assert list(read(study, columns)[1]) == ["complete", "running"]
    broken, attempt = study.started("c")
    study.store.write(fail_job, broken.job_id, attempt, "it broke", "traceback")
    assert list(read(study, columns)[1]) == ["complete", "running", "failed"]
    assert queued.candidate_id == waiting
    assert_up_to_date(study, columns)


def test_a_query_that_fails_once_leaves_no_empty_column(study) -> None:
    finish(study, "a", "complete", accuracy=0.5, latency_ms=3.0)
    columns = StudyColumns(study.name)

    def fail(*arguments: Any) -> None:
        if "metrics" in arguments[2]:
            raise ConnectionError("the database is away")

    event.listen(study.store.engine, "before_cursor_execute", fail)
    with pytest.raises(ConnectionError):
        read(study, columns)
    event.remove(study.store.engine, "before_cursor_execute", fail)
    assert_up_to_date(study, columns)


def test_a_metric_that_is_measured_again_is_read_again(study) -> None:
    columns = StudyColumns(study.name)
    first, attempt = study.started("a")
    again = JobResult({}, metrics=[MetricValue("accuracy", "", 0.5)], next_jobs=[("remeasure-1", "local")])
    (job,) = study.store.write(commit_job, first.job_id, attempt, again)
    assert read(study, columns)[2][1][0, 0] == 0.5
    attempt = study.store.write(start_job, study.lease, job.job_id)
    study.store.write(commit_job, job.job_id, attempt, JobResult({}, metrics=[MetricValue("accuracy", "", 0.7)]))
    assert read(study, columns)[2][1][0, 0] == 0.7


def test_a_study_of_the_same_name_is_read_from_the_beginning(study) -> None:
    columns = StudyColumns(study.name)
    for identity in "abc":
        finish(study, identity, "complete", accuracy=0.5)
    read(study, columns)
    study.store.write(release_lease, study.lease, "complete", {})
    study.store.delete_study(study.name)
    again = new_study(study.store, study.name)
    finish(again, "d", "complete", accuracy=0.75)
    assert read(again, columns)[2][1][:, 0].tolist() == [0.75]


def test_a_revision_that_is_committed_late_is_not_missed(study) -> None:
    columns = StudyColumns(study.name)
    first, last = (finish(study, identity, "complete", accuracy=0.5) for identity in "ab")
    read(study, columns)
    with study.store.transaction() as connection:  # as if its transaction had taken its number before the last one
        table = Candidate.__table__
        earlier = select(table.c.revision - 1).where(table.c.id == last).scalar_subquery()
        connection.execute(update(table).where(table.c.id == first).values(state="failed", revision=earlier))
    assert read(study, columns)[1][0] == "failed"


def test_only_changed_candidates_are_read(study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trials.store.read.columns.OVERLAP", 0)
    columns = StudyColumns(study.name)
    for identity in "abcdef":
        finish(study, identity, "complete", accuracy=0.5)
    read(study, columns)
    finish(study, "g", "complete", accuracy=0.9)
    fetched: list[int] = []
    fill = columns._fill
    monkeypatch.setattr(columns, "_fill", lambda name, rows: (fetched.extend(row[0] for row in rows), fill(name, rows)))
    assert_up_to_date(study, columns)
    assert set(fetched) == {6}
