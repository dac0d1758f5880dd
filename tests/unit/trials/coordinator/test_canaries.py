"""When a canary is due, and what a good and a bad canary do to the measurements before it."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from nas.latency.protocol.canary import Health
from tests.unit.trials.coordinator.under_way import GOOD, UnderWay, measured
from tests.unit.trials.in_process import InProcess
from trials.coordinator.canary_jobs import CanaryJobs
from trials.coordinator.context import CoordinatorContext
from trials.coordinator.targets import canaries
from trials.coordinator.targets.canaries import Canaries
from trials.executors import Event
from trials.plans.plan import MeasurePlan, make_plan
from trials.plans.problem import open_problem
from trials.store.models import Candidate, JobRow, Measurement
from trials.store.records import JobResult
from trials.store.write.jobs import commit_job, start_job

SLOW = replace(GOOD, drift=0.5)


def of(every: int = 2) -> Canaries:
    return Canaries(MeasurePlan(canary_every=every), {"local": {}})


def check(found: Canaries, health: Health) -> bool:
    found.started("local")
    return found.finished("local", health)


def test_a_canary_comes_first_then_every_so_many_measurements_and_last() -> None:
    found = of(every=2)
    assert found.due("local")
    assert not found.may_measure("local")
    assert found.started("local") == "canary.local.1"
    assert not found.due("local"), "a canary is running"
    assert found.finished("local", GOOD)
    assert found.may_measure("local")
    found.handed_out("local")
    assert not found.due("local")
    assert found.due("local", final=True), "nothing else will be measured after it"
    assert not found.settled()
    found.handed_out("local")
    assert found.due("local")
    check(found, GOOD)
    assert not found.due("local", final=True)
    assert found.settled()


def test_a_study_that_measures_nothing_needs_no_last_canary() -> None:
    found = of()
    assert not found.due("local", final=True)
    assert found.settled()


def test_a_bad_target_is_waited_for(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    found = of()
    assert not check(found, SLOW)
    assert not found.may_measure("local")
    assert not found.due("local"), "it is too early for the next canary"
    assert found.waiting == "target local: it is 50% slower than when it was calibrated"
    assert not found.settled()
    monkeypatch.setattr(canaries, "RETRY_S", 0.0)
    assert not check(found, SLOW)
    assert found.due("local")
    with caplog.at_level(logging.WARNING):
        assert check(found, GOOD)
    assert "as calibrated again" in caplog.text
    assert (found.waiting, found.may_measure("local")) == ("", True)


def test_after_a_canary_that_could_not_run_the_health_is_unknown() -> None:
    found = of()
    check(found, GOOD)
    found.started("local")
    found.failed("local", "its device is away")
    assert not found.may_measure("local")
    assert "the canary could not run: its device is away" in found.waiting


def test_without_canaries_a_bad_target_is_noted_and_still_measured() -> None:
    found = of(every=0)
    assert found.due("local")
    assert check(found, SLOW)
    for _ in range(100):
        found.handed_out("local")
    assert not found.due("local")
    assert not found.due("local", final=True)
    assert found.settled()


def test_a_measured_latency_records_the_health_and_a_reused_one_does_not() -> None:
    found, latency = of(), {"latency_ms": 1.0, "conditions": {"threads": 1}}
    assert found.noted("local", latency) == latency
    check(found, GOOD)
    noted = found.noted("local", latency)["conditions"]
    assert noted["threads"] == 1
    assert (noted["health"]["rung"], noted["health"]["drift"]) == ("r5", 0.0)
    assert "state" not in noted["health"]
    answered = {**latency, "answered_from": 3}
    assert found.noted("local", answered) == answered


@pytest.mark.parametrize("is_slower", [False, True])
def test_a_canary_decides_about_what_was_measured_before_it(
    is_slower: bool,
    under_way: UnderWay,
    calibrated: dict[str, Any],
    in_process: InProcess,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The job really runs: the target was calibrated as ten times as fast, so the canary finds it slower now."""
    then = {name: value / 10 if is_slower else value for name, value in calibrated["references"].items()}
    target = {**calibrated, "references": then}
    patient = {**under_way.context.assignment.problem.plan.to_json(), "measure": {"max_drift": 0.9}}
    given = replace(under_way.context.assignment, problem=open_problem(make_plan(patient)), targets={"local": target})
    context = CoordinatorContext.of(under_way.store, given, in_process)
    check(context.canaries, GOOD)
    context.canaries.handed_out("local")
    opened = under_way.propose("a")
    attempt = context.store.write(start_job, given.lease, opened.job_id)
    result = JobResult({"structure_hash": "s"}, measurements=[measured("s")], candidate_state="complete")
    context.store.write(commit_job, opened.job_id, attempt, result)

    jobs = CanaryJobs(context)
    jobs.start(over=True)
    assert jobs.phase == "checking target local"
    with caplog.at_level(logging.WARNING):
        (undone,) = [jobs.heard(event) for event in in_process.poll(1.0) if event.kind != "progress"]
    assert jobs.phase == ""
    assert [row.trust for row in under_way.rows(Measurement)] == ["quarantined" if is_slower else "good"]
    assert [row.state for row in under_way.rows(JobRow)] == ["queued" if is_slower else "done"]
    assert [row.state for row in under_way.rows(Candidate)] == ["running" if is_slower else "complete"]
    if is_slower:
        assert undone is not None
        assert (undone.num_marked, undone.steps) == (1, {(opened.candidate_id, ("gate", "local"))})
        assert "than when it was calibrated" in caplog.text
        assert "1 measurements since it was last good are made again" in caplog.text
    else:
        assert undone is None


def test_a_canary_whose_device_is_away_is_tried_again(under_way: UnderWay) -> None:
    jobs = CanaryJobs(under_way.context)
    jobs.start(over=False)
    (key,) = under_way.executor.jobs
    assert key in jobs
    assert jobs.heard(Event(key, "place", error="the device does not answer")) is None
    assert key not in jobs
    assert under_way.context.faults.waiting
    assert "the device does not answer" in under_way.context.canaries.waiting


def test_canaries_are_cancelled_with_the_study(under_way: UnderWay) -> None:
    jobs = CanaryJobs(under_way.context)
    jobs.start(over=False)
    assert under_way.executor.jobs
    jobs.cancel()
    assert not under_way.executor.jobs
    assert jobs.phase == ""
