"""Which job is handed out next, which one waits, and which one needs no worker."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas.errors import JobError
from nas.latency.protocol.canary import Health
from tests.unit.trials.coordinator.under_way import UnderWay
from trials.coordinator.dispatch import Dispatcher, trainings
from trials.coordinator.pipeline import OpenTrial, TrialJob
from trials.executors import Job, Pool
from trials.executors.turns import TurnTaking
from trials.store.models import Candidate, JobRow

TRAINED = {"structure_hash": "s", "twin": "dense", "artifacts": []}
TWIN = {"latency_ms": 3.0, "low_ms": 2.9, "high_ms": 3.1}


def test_the_oldest_job_is_handed_to_the_free_worker(under_way: UnderWay) -> None:
    first, second = under_way.propose("a"), under_way.propose("b")
    under_way.find_good()
    assert under_way.dispatch() == []
    (job,) = under_way.executor.jobs.values()
    assert (job.function, job.pool, job.payload["candidate"]) == ("trials.jobs.candidate:gate", "target:local", 0)
    assert [job.job_id for job in under_way.jobs.queued] == [second.job_id]
    assert [(row.id, row.state, row.attempt) for row in under_way.rows(JobRow)] == [
        (first.job_id, "running", 1),
        (second.job_id, "queued", 0),
    ]
    assert [row.state for row in under_way.rows(Candidate)] == ["running", "queued"]
    assert under_way.context.progress.counts == {"running": 1, "queued": 1}


def test_a_training_and_a_measurement_on_the_same_cores_do_not_start_together(under_way: UnderWay) -> None:
    pools = [Pool("train", 1, turns_with=frozenset({"target:local"})), Pool("target:local", 1)]
    executor = TurnTaking(under_way.executor, pools)
    under_way.context = replace(under_way.context, executor=executor)
    under_way.jobs = Dispatcher(under_way.context)
    trained = under_way.propose("a", ("train", ""))
    under_way.propose("b")
    under_way.find_good()
    under_way.dispatch()
    assert [job.pool for job in under_way.executor.jobs.values()] == ["train"]
    assert [row.state for row in under_way.rows(JobRow)] == ["running", "queued"]
    executor.cancel(f"{trained.job_id}.1")
    under_way.dispatch()
    assert [job.pool for job in under_way.executor.jobs.values()] == ["target:local"]
    with pytest.raises(JobError, match="takes turns with target:local, which runs a job"):
        executor.submit(Job("late", "jobs:train", {}, "train"))


def test_trainings_but_no_measurements_start_before_the_first_good_canary(under_way: UnderWay) -> None:
    under_way.propose("a")
    trained = under_way.propose("b", ("train", ""))
    under_way.dispatch()
    assert [job.pool for job in under_way.executor.jobs.values()] == ["train"]
    assert next(iter(under_way.jobs.running.values())).job_id == trained.job_id
    under_way.find_good()
    under_way.dispatch()
    assert [job.pool for job in under_way.executor.jobs.values()] == ["train", "target:local"]


@pytest.mark.parametrize(("drift", "measured"), [(0.5, False), (-0.5, True)])
def test_nothing_is_measured_on_a_target_that_is_slower(under_way: UnderWay, drift: float, measured: bool) -> None:
    under_way.propose("a")
    under_way.context.canaries.started("local")
    under_way.context.canaries.finished("local", Health("r5", drift, 0.0, (), {}))
    under_way.dispatch()
    assert bool(under_way.executor.jobs) == measured


def test_a_due_canary_holds_back_the_next_measurement(under_way: UnderWay) -> None:
    every = under_way.context.assignment.problem.plan.measure.canary_every
    under_way.find_good()
    for number in range(every + 1):
        under_way.propose(f"{number}")
        under_way.executor.jobs.clear()
        under_way.dispatch()
    assert not under_way.executor.jobs
    assert len(under_way.jobs.running) == every
    under_way.find_good()
    under_way.dispatch()
    assert len(under_way.executor.jobs) == 1


def test_an_interrupted_job_is_next_with_another_attempt(under_way: UnderWay) -> None:
    first = under_way.propose("a")
    under_way.propose("b")
    under_way.find_good()
    under_way.dispatch()
    (running,) = under_way.jobs.running.values()
    under_way.jobs.running.clear()
    under_way.executor.jobs.clear()
    under_way.jobs.requeue(running, "its worker was lost")
    row = under_way.rows(JobRow)[0]
    assert (row.state, row.attempt, row.error) == ("queued", 1, "its worker was lost")
    under_way.dispatch()
    assert list(under_way.jobs.running) == [f"{first.job_id}.2"]


def test_a_job_that_fails_by_a_fault_of_the_place_waits_and_others_run(under_way: UnderWay) -> None:
    first, second = under_way.propose("a", ("train", "")), under_way.propose("b", ("train", ""))
    under_way.context.faults.of_place(first.job_id, "the disk is full")
    under_way.dispatch()
    assert [running.job_id for running in under_way.jobs.running.values()] == [second.job_id]
    under_way.executor.jobs.clear()
    under_way.context.faults.came_through(first.job_id)
    under_way.dispatch()
    assert [running.job_id for running in under_way.jobs.running.values()] == [second.job_id, first.job_id]


def test_a_dense_twin_that_was_timed_for_another_candidate_needs_no_worker(under_way: UnderWay) -> None:
    opened = under_way.propose("a", ("twin", "local"))
    under_way.jobs.queued[0].trial.results["train", ""] = TRAINED
    under_way.context.progress.twins["dense", "local"] = TWIN
    ((running, result),) = under_way.dispatch()
    assert (running.job_id, result) == (opened.job_id, {"latency": TWIN})
    assert not under_way.executor.jobs
    assert under_way.rows(JobRow)[0].state == "running", "its result is committed like any other"


def test_invalidated_results_are_removed_from_open_trials(under_way: UnderWay) -> None:
    first, second = under_way.propose("a"), under_way.propose("b")
    for job in under_way.jobs.queued:
        job.trial.results["gate", "local"] = {"structure_hash": "s"}
    under_way.jobs.forget({(first.candidate_id, ("gate", "local"))})
    assert [job.trial.results for job in under_way.jobs.queued] == [
        {},
        {("gate", "local"): {"structure_hash": "s"}},
    ]
    assert second.number == 1


def test_cancelling_ends_jobs_and_gives_their_trials_back(under_way: UnderWay) -> None:
    for identity in "ab":
        under_way.propose(identity, ("train", ""))
    under_way.dispatch()
    assert [trial.number for trial in under_way.jobs.cancel()] == [0, 1]
    assert under_way.jobs.idle
    assert not under_way.executor.jobs


def test_a_training_is_said_to_end_at_its_rung() -> None:
    trial = OpenTrial(1, 4, "identity", {})
    steps = [("rung-3", ""), ("train", "")]
    running = [TrialJob(trial, step, epoch=2, epoch_s=10.0) for step in steps]
    assert trainings(running, 9) == "trial 4: epoch 2 of 3, 10 s left; trial 4: epoch 2 of 9, 1 min left"
