"""Which stored measurements are reused for a network with the same structure."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from nas.latency.protocol.measure import PROTOCOL_VERSION
from nas.latency.protocol.samples import Samples, Visit, burst_array
from nas.strategies import Limit
from tests.unit.trials.coordinator.conftest import TARGET
from tests.unit.trials.coordinator.under_way import UnderWay, measured
from trials.coordinator.targets.latency_cache import LatencyCache, described
from trials.jobs.messages import PREFIX
from trials.plans.plan import make_plan
from trials.plans.problem import open_problem
from trials.store.models import Measurement
from trials.store.records import JobResult
from trials.store.write.jobs import commit_job, start_job
from trials.store.write.leases import acquire_lease
from trials.store.write.targets import add_target
from trials.store.write.trust import quarantine_measurements

#: Ten runs of 1 to 10 ms, measured beside a reference model of 1 ms.
RUNS = burst_array([run * 10**6 for run in range(1, 11)], [], [])
SAMPLES = Samples(((Visit(RUNS, RUNS),),), "process").to_bytes()
HASH = "a" * 64


def store_measurement(under_way: UnderWay, structure_hash: str = HASH, samples: bytes = SAMPLES, **other: Any) -> None:
    """Store a measured candidate; ``other`` replaces conditions of the measurement."""
    opened = under_way.propose(structure_hash + str(len(under_way.jobs.queued)))
    attempt = under_way.store.write(start_job, under_way.context.assignment.lease, opened.job_id)
    made = measured(structure_hash, samples, **other)
    under_way.store.write(commit_job, opened.job_id, attempt, JobResult({}, measurements=[made]))


def cache(under_way: UnderWay, runtime_version: str = "1", **assignment: Any) -> LatencyCache:
    found = LatencyCache(under_way.store, replace(under_way.context.assignment, **assignment))
    found.open("local", runtime_version)
    return found


def test_nothing_is_reused_before_the_first_canary(under_way: UnderWay) -> None:
    store_measurement(under_way)
    found = LatencyCache(under_way.store, under_way.context.assignment)
    assert (found.prefixes("local"), found.answer("local", HASH)) == ([], None)
    found.open("local", "1")
    assert found.prefixes("local") == [HASH[:PREFIX]]


def test_a_reused_latency_is_derived_from_the_same_samples(under_way: UnderWay) -> None:
    store_measurement(under_way)
    answer = cache(under_way).answer("local", HASH)
    assert answer is not None
    assert (answer["latency_ms"], answer["low_ms"], answer["high_ms"]) == (2.0, 1.9, 2.1)
    assert base64.b64decode(answer["samples"]) == SAMPLES
    assert answer["percentiles"]["latency_p90_ms"][0] == pytest.approx(9.1)
    assert answer["answered_from"] == under_way.rows(Measurement)[0].id


def test_the_latest_measurement_is_reused_and_named_as_the_source(
    under_way: UnderWay,
) -> None:
    store_measurement(under_way)
    store_measurement(under_way)
    first, second = (row.id for row in under_way.rows(Measurement))
    answer = cache(under_way).answer("local", HASH)
    assert answer is not None
    assert answer["answered_from"] == second
    assert first != second


@pytest.mark.parametrize(
    "conditions",
    [
        {"disturbed": True},
        {"runtime_version": "0"},
        {"protocol": PROTOCOL_VERSION - 1},
        {"half_width": 0.1, "effort": {"precision": 0.2, "budget_s": 6.0}},
        {"half_width": 0.1, "effort": {"precision": 0.02, "budget_s": 1.0}},
        {"rejected": True},
        {"peak_memory_bytes": None},
    ],
)
def test_lesser_measurements_are_not_reused(under_way: UnderWay, conditions: dict[str, Any]) -> None:
    """Not reused: disturbed, another runtime or protocol, lower effort, stopped early, without a metric that is an
    objective.
    """
    store_measurement(under_way, **{"peak_memory_bytes": 1, **conditions})
    wanted = {"accuracy": "maximize", "latency_ms": "minimize", "peak_memory_bytes": "minimize"}
    plan = {**under_way.context.assignment.problem.plan.to_json(), "objectives": wanted}
    problem = open_problem(make_plan(plan))
    found = cache(under_way, problem=problem)
    assert (found.prefixes("local"), found.answer("local", HASH)) == ([], None)
    store_measurement(under_way, peak_memory_bytes=1)
    assert cache(under_way, problem=problem).answer("local", HASH) is not None


def test_a_precise_measurement_of_low_effort_is_reused(under_way: UnderWay) -> None:
    store_measurement(under_way, half_width=0.01, effort={"precision": 0.2, "budget_s": 1.0})
    assert cache(under_way).answer("local", HASH) is not None


@pytest.mark.parametrize(("limit", "answers"), [(None, False), (2.5, False), (1.5, True)])
def test_a_measurement_stopped_early_is_reused_where_it_exceeds_the_limit(
    under_way: UnderWay, limit: float | None, answers: bool
) -> None:
    store_measurement(under_way, rejected=True)
    found = cache(under_way, limits={"latency_ms": Limit(max=limit)} if limit else {})
    assert (found.answer("local", HASH) is not None) == answers


def test_without_a_cache_nothing_is_reused(under_way: UnderWay) -> None:
    store_measurement(under_way)
    plan = {**under_way.context.assignment.problem.plan.to_json(), "measure": {"cache": False}}
    assert cache(under_way, problem=open_problem(make_plan(plan))).prefixes("local") == []


def test_measurements_of_an_equal_target_are_reused_and_of_another_place_are_not(under_way: UnderWay) -> None:
    store_measurement(under_way)
    same = {**TARGET, "spec": {**TARGET["spec"], "name": "pi"}}
    other = {**TARGET, "references": {"r5": 2.0}}
    for name, target, prefixes in (("pi", same, [HASH[:PREFIX]]), ("phone", other, [])):
        under_way.store.write(add_target, name, target, target["references"])
        found = LatencyCache(under_way.store, replace(under_way.context.assignment, targets={name: target}))
        found.open(name, "1")
        assert found.prefixes(name) == prefixes


def test_the_load_of_a_place_is_no_part_of_its_identity() -> None:
    quiet = {"spec": {"name": "pi"}, "references": {"r5": 1.0}, "description": {"cores": 2, "load": 0.0}}
    busy = {"spec": {"name": "pie"}, "references": {"r5": 1.0}, "description": {"cores": 2, "load": 3.0}}
    assert described(quiet) == described(busy)
    assert described(quiet) != described({**busy, "description": {"cores": 4}})


def test_a_new_measurement_is_reused_for_the_next_candidate(under_way: UnderWay) -> None:
    found = cache(under_way)
    assert found.answer("local", HASH) is None
    store_measurement(under_way)
    found.learn(measured(HASH))
    assert found.answer("local", HASH) is not None
    found.learn(measured("b" * 64, disturbed=True))
    found.learn(replace(measured("c" * 64), target="elsewhere"))
    assert found.prefixes("local") == [HASH[:PREFIX]]
    assert found.prefixes("elsewhere") == []


def test_measurements_that_proved_bad_are_no_longer_reused(under_way: UnderWay) -> None:
    store_measurement(under_way)
    found = cache(under_way)
    lease = under_way.store.write(acquire_lease, under_way.context.assignment.lease.study_id, "here:1:1", 60)
    under_way.store.write(quarantine_measurements, lease, "local")
    assert found.answer("local", HASH) is None
    assert found.prefixes("local") == []


def test_unreadable_samples_are_not_reused(under_way: UnderWay) -> None:
    store_measurement(under_way, samples=b"no samples")
    assert cache(under_way).answer("local", HASH) is None
