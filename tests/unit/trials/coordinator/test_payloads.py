"""The payloads of jobs, for each step of a candidate."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from nas.strategies import Limit
from tests.unit.trials.coordinator.under_way import UnderWay, measured
from tests.unit.trials.pretending import check_payload
from trials.coordinator.payloads import payload_of
from trials.coordinator.pipeline import OpenTrial, Step, kind_of, pool_of
from trials.executors import Job
from trials.jobs.messages import OF_KIND
from trials.store.records import JobResult
from trials.store.write.jobs import commit_job, start_job

FILE = {"kind": "onnx", "uri": "/files/0/onnx", "sha256": "0", "size_bytes": 1, "record": {}}
TRAINED = {"structure_hash": "trained", "twin": "dense", "artifacts": [FILE]}
STEPS = [
    ("gate", "local"),
    ("train", ""),
    ("measure", "local"),
    ("twin", "local"),
    ("remeasure-2", "local"),
    ("retrain-1", ""),
]


@pytest.fixture
def trial(under_way: UnderWay) -> OpenTrial:
    opened = under_way.propose("a")
    return replace(OpenTrial.restored(opened, original=False), results={("train", ""): TRAINED})


def payload(under_way: UnderWay, trial: OpenTrial, step: Step) -> Any:
    return payload_of(under_way.store, under_way.context.assignment, trial, step, ["known"])


@pytest.mark.parametrize("step", STEPS)
def test_every_job_gets_what_its_function_declares(under_way: UnderWay, trial: OpenTrial, step: Step) -> None:
    found = payload(under_way, trial, step)
    check_payload(Job("key", OF_KIND[kind_of(step)].name, found, pool_of(step)))
    assert (found["candidate"], found["identity"]) == (0, "a")


def test_gates_stop_early_and_may_be_reused_except_the_originals(under_way: UnderWay, trial: OpenTrial) -> None:
    under_way.context.assignment.limits["latency_ms"] = Limit(max=2.5)
    first = payload(under_way, trial, ("gate", "local"))
    assert (first["reject_above_ms"], first["known"]) == (2.5, ["known"])
    original = payload(under_way, replace(trial, original=True), ("gate", "local"))
    assert (original["reject_above_ms"], original["known"]) == (None, [])


def test_a_dense_twin_is_never_stopped_early_and_may_be_reused(under_way: UnderWay, trial: OpenTrial) -> None:
    under_way.context.assignment.limits["latency_ms"] = Limit(max=2.5)
    found = payload(under_way, trial, ("twin", "local"))
    assert (found["twin"], found["reject_above_ms"], found["known"]) == ("dense", None, ["known"])


def test_each_training_has_a_seed_and_a_folder_of_its_own(under_way: UnderWay, trial: OpenTrial) -> None:
    found = [payload(under_way, trial, (kind, "")) for kind in ("train", "retrain-1", "retrain-2")]
    assert found[0]["seed"] == under_way.context.assignment.problem.plan.seed
    assert len({item["seed"] for item in found}) == len({item["checkpoint"] for item in found}) == 3
    assert found[1] == payload(under_way, trial, ("retrain-1", "")), "the seed must be the same after a restart"


def test_a_second_measurement_gets_the_samples_of_those_before(under_way: UnderWay, trial: OpenTrial) -> None:
    opened = under_way.jobs.queued[0].job_id
    made = [measured("trained", b"first"), measured("other", b"other"), measured("trained", b"twin", purpose="twin")]
    attempt = under_way.store.write(start_job, under_way.context.assignment.lease, opened)
    under_way.store.write(commit_job, opened, attempt, JobResult({}, measurements=made))
    found = payload(under_way, trial, ("remeasure-1", "local"))
    assert [base64.b64decode(item["samples"]) for item in found["earlier"]] == [b"first"]
    assert (found["uri"], found["structure_hash"]) == (FILE["uri"], "trained")
