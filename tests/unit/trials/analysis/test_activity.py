"""Progress, timeline and reasons of a study, as its tables tell them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from dashboard.tables.activity import retried_table
from tests.browser.seed import START, seed_database
from trials.analysis.activity import grouped, spent, timeline
from trials.reporting.charts.activity import timeline_figure
from trials.store.database.engine import open_engine
from trials.store.models import Candidate, JobRow, Study
from trials.store.read.activity import Ended, Job, ended_early, num_ended, open_jobs_of, retried_jobs, started_jobs
from trials.store.read.studies import study_summary


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('activity') / 'nas.db'}")
    seed_database(engine)
    yield engine
    engine.dispose()


def job(number: int, start_s: float, end_s: float | None, kind: str = "train", target: str = "") -> Job:
    end = None if end_s is None else START + timedelta(seconds=end_s)
    state = "running" if end is None else "done"
    return Job(number, kind, target, state, 1, START + timedelta(seconds=start_s), end, None)


def test_jobs_that_overlap_are_in_different_rows() -> None:
    jobs = [job(0, 0, 10), job(1, 5, 15), job(2, 10, None), job(3, 1, 2, "gate", "pi"), job(4, 2, 4, "rung-3")]
    bars = timeline(jobs, START + timedelta(seconds=30))
    rows = {bar.job.number: bar.row for bar in bars}
    first, second = "training worker", "training worker 2"
    assert rows == {0: first, 1: second, 2: first, 3: "pi", 4: second}
    assert {bar.job.number: bar.seconds for bar in bars} == {0: 10, 1: 10, 2: 20, 3: 1, 4: 2}
    assert {bar.kind for bar in bars} == {"train", "gate", "rung"}


def test_rows_are_in_the_order_of_their_numbers() -> None:
    bars = timeline([job(number, number, 100) for number in range(11)], None)
    shown = timeline_figure(bars).layout.yaxis.categoryarray
    assert list(shown) == ["training worker", *(f"training worker {place}" for place in range(2, 12))]


def test_reasons_that_differ_in_numbers_are_one() -> None:
    ended = [
        Ended("infeasible", "latency_ms 0.61 is over the limit 0.5", 1),
        Ended("infeasible", "latency_ms 7.1e-1 is over the limit 0.5", 4),
        Ended("failed", "loss is nan in epoch 2", 2),
    ]
    found = grouped(ended)
    assert [(reason.state, reason.count) for reason in found] == [("failed", 2), ("infeasible", 5)]
    assert [reason.text for reason in found] == ["loss is nan in epoch 2", "latency_ms … is over the limit 0.5"]
    assert found[1].kind == "latency_ms … is over the limit …"


def test_reasons_and_jobs_of_a_study(engine: Engine) -> None:
    counts = study_summary(engine, "digits").row.counts
    found = grouped(ended_early(engine, "digits"))
    assert sum(reason.count for reason in found) == counts["failed"] + counts["infeasible"]
    assert found[0].text.startswith("JobError: loss is nan")
    jobs = started_jobs(engine, "digits", 10)
    assert len(jobs) == 10
    assert {each.number for each in jobs} <= set(range(23, 30))


def test_retried_jobs_tell_why(engine: Engine) -> None:
    with Session(engine) as session:
        query = select(JobRow).join(Candidate, Candidate.id == JobRow.candidate_id).join(Study)
        failed = session.scalars(query.where(Study.name == "digits", Candidate.number == 11, JobRow.kind == "train"))
        failed.one().attempt = 3
        session.commit()
    found = retried_jobs(engine, "digits", 10)
    assert [(each.number, each.kind, each.attempt) for each in found] == [(11, "train", 3)]
    assert found[0].error == "JobError: loss is nan in epoch 2, step 31"
    table = retried_table(found)
    assert table["Attempts"].tolist() == [3]


def test_the_time_left_follows_from_the_rate(engine: Engine) -> None:
    summary = study_summary(engine, "live")
    found = spent(engine, summary)
    assert found.ended == num_ended(engine, "live", trained=False) == 7
    assert found.budget == 30
    assert found.left_s == pytest.approx(23 / 7 * 262.0)
    assert spent(engine, study_summary(engine, "digits")).left_s is None


def test_measured_trials_do_not_count_in_a_budget_of_trainings(engine: Engine) -> None:
    counts = study_summary(engine, "digits").row.counts
    trained = num_ended(engine, "digits", trained=True)
    assert counts["complete"] < trained < num_ended(engine, "digits", trained=False)


def test_a_study_with_more_trials_than_its_budget_counts_those_that_it_trained(engine: Engine) -> None:
    summary = study_summary(engine, "digits")
    found = spent(engine, replace(summary, plan={"budget": {"trials": 28}}))
    assert found.ended == num_ended(engine, "digits", trained=True)


def test_open_jobs_say_what_runs_and_what_waits(engine: Engine) -> None:
    found = {(item.state, item.kind, item.target): item.count for item in open_jobs_of(engine, "live")}
    assert found == {("running", "train", ""): 1, ("queued", "gate", "local"): 1}
