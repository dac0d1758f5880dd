"""Measurements that are reused for other candidates, and measurements that a bad canary invalidates."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from nas.latency.protocol.measure import PROTOCOL_VERSION
from nas.latency.protocol.samples import Samples, Visit, burst_array
from nas.strategies import Goal, Limit, Observation, Strategy
from nas.strategies.given import GivenStrategy
from tests.unit.trials.assigned import assigned
from tests.unit.trials.pretending import Pretending, latency
from trials.coordinator.coordinator import Coordinator
from trials.coordinator.targets import canaries
from trials.executors import Event
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem
from trials.store.models import JobRow, Measurement
from trials.store.read.candidates import candidates_page
from trials.store.store import Store
from trials.store.write.targets import add_target

SETTINGS = {"stride_mode": "stride", "dropout": 0.0}
SETTINGS |= {f"stage{n}.depth": 1 for n in range(1, 5)} | {f"stage{n}.conv1.kernel": 3 for n in range(1, 5)}
LISTED = [SETTINGS | {f"stage{n}.conv1.width": width for n in range(1, 5)} for width in (8, 16, 32)]
TARGET = {"spec": {"name": "local", "runtime": "pretended"}, "references": {"r5": 1.0}, "description": {"cores": 2}}
#: Ten runs of 1 to 10 ms, measured beside a reference model of 1 ms.
RUNS = burst_array([run * 10**6 for run in range(1, 11)], [], [])
SAMPLES = Samples(((Visit(RUNS, RUNS),),), "process").to_bytes()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'nas.db'}")
    store.write(add_target, "local", TARGET, TARGET["references"])
    yield store
    store.close()


class SlowCanaries(Pretending):
    """An executor in which a canary ends after all other running jobs."""

    def poll(self, timeout_s: float) -> list[Event]:
        self._events = deque(sorted(self._events, key=lambda item: item[1].key.startswith("canary")))
        return super().poll(timeout_s)


class Listening(Strategy):
    """A strategy that proposes the given list, and records the results it is told."""

    def __init__(self, goal: Goal, seed: int) -> None:
        super().__init__(goal, seed)
        self._given = GivenStrategy(goal, seed, LISTED)
        self.heard: list[Observation] = []

    def propose(self, build: Any, number: int) -> Any:
        return self._given.propose(build, number)

    def exhausted(self, number: int) -> bool:
        return self._given.exhausted(number)

    def observe(self, observations: Sequence[Observation]) -> None:
        self.heard += observations


LISTENING = "tests.unit.trials.coordinator.test_trust:Listening"


def problem(strategy: str = "given", **measure: Any) -> Problem:
    named = {"name": strategy} if strategy != "given" else {"name": "given", "choices": LISTED}
    return open_problem(
        make_plan(
            {
                "task": {"name": "digits", "image_size": 8},
                "space": {"name": "plain_convnet"},
                "strategy": named,
                "measure": {"audit": 0.0, **measure},
                "executor": "local",
            }
        )
    )


def wanting(metric: str) -> Problem:
    plan = {**problem().plan.to_json(), "objectives": {"accuracy": "maximize", metric: "minimize"}}
    return open_problem(make_plan(plan))


def measured(value: float, structure: str, **conditions: Any) -> dict[str, Any]:
    """The result of a gate."""
    known = {"protocol": PROTOCOL_VERSION, "runtime_version": "1", "disturbed": False, "half_width": 0.01}
    known |= {"effort": {"precision": 0.02, "budget_s": 6.0}, "peak_memory_bytes": None, "reference_ms": 1.0}
    found = {**latency(value), "conditions": known | conditions, "samples": base64.b64encode(SAMPLES).decode()}
    return {"metrics": {"size_bytes": 1.0}, "structure_hash": structure, "latency": found}


def run(store: Store, problem: Problem, executor: Pretending, name: str, limit: float | None = None) -> Coordinator:
    limits = {"latency_ms": Limit(max=limit)} if limit else {}
    assignment = assigned(store, problem, name=name, limits=limits, targets={"local": TARGET})
    coordinator = Coordinator(store, assignment, executor, {})
    assert coordinator.run() == "exhausted"
    return coordinator


def rows(store: Store, model: type[Any]) -> list[Any]:
    query = select(model.__table__).order_by(model.id)
    return store.read(lambda connection: list(connection.execute(query)))


def gates(values: Mapping[int, float], **conditions: Any) -> Any:
    """A gate that measures a candidate unless its payload names the structure; ``.measured`` counts measurements."""

    def gate(payload: Mapping[str, Any]) -> dict[str, Any]:
        structure = f"{payload['identity']:x<64}"
        result = measured(values[payload["candidate"]], structure, **conditions)
        if structure[:16] in payload["known"]:
            return {**result, "latency": None}
        done.append(payload["candidate"])
        return result

    done: list[int] = []
    gate.measured = done  # type: ignore[attr-defined]
    return gate


def trained_alike(executor: Pretending) -> Pretending:
    """Training keeps the structure that the gate measured."""
    original = executor._result

    def result(kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        found = original(kind, payload)
        return {**found, "structure_hash": f"{payload['identity']:x<64}"} if kind == "train" else found

    executor._result = result  # type: ignore[method-assign]
    return executor


def test_a_structure_measured_before_is_answered_from_its_samples(store: Store) -> None:
    first, second = gates({0: 1.0, 1: 2.0, 2: 3.0}), gates({0: 9.0, 1: 9.0, 2: 9.0})
    run(store, problem(), trained_alike(Pretending(gate=first)), "first")
    run(store, problem(), trained_alike(Pretending(gate=second)), "second")
    assert (first.measured, second.measured) == ([0, 1, 2], [])
    stored = rows(store, Measurement)
    assert [row.latency_ms for row in stored] == [1.0, 2.0, 3.0] * 2
    assert [row.source_id for row in stored] == [None] * 3 + [row.id for row in stored[:3]]
    assert {row.samples for row in stored} == {SAMPLES}
    found = [row.metrics["latency_ms"].value for row in candidates_page(store, "second").rows]
    assert found == [1.0, 2.0, 3.0]


def test_percentiles_are_answered_from_the_samples(store: Store) -> None:
    first, second = gates({0: 1.0, 1: 2.0, 2: 3.0}), gates({0: 9.0, 1: 9.0, 2: 9.0})
    run(store, problem(), trained_alike(Pretending(gate=first)), "first")
    run(store, wanting("latency_p90_ms"), trained_alike(Pretending(gate=second)), "second")
    assert second.measured == []
    for row in candidates_page(store, "second").rows:
        assert row.metrics["latency_p90_ms"].value == pytest.approx(9.1)
        assert row.metrics["latency_p99_ms"].high is None
        assert "latency_p90_ms" in row.shown_metrics
        assert "latency_p99_ms" not in row.shown_metrics


@pytest.mark.parametrize("metric", ["load_ms", "energy_mj"])
def test_a_measurement_without_the_wanted_metric_is_not_reused(store: Store, metric: str) -> None:
    first = gates({0: 1.0, 1: 2.0, 2: 3.0}, energy_mj=None)
    second = gates({0: 4.0, 1: 5.0, 2: 6.0}, **{metric: 0.5})
    run(store, problem(), trained_alike(Pretending(gate=first)), "first")
    run(store, wanting(metric), trained_alike(Pretending(gate=second)), "second")
    assert second.measured == [0, 1, 2]
    assert {row.metrics[metric].value for row in candidates_page(store, "second").rows} == {0.5}


@pytest.mark.parametrize(
    ("plan", "conditions"),
    [
        ({"cache": False}, {}),
        ({}, {"disturbed": True}),
        ({}, {"runtime_version": "0"}),
        ({}, {"protocol": PROTOCOL_VERSION - 1}),
        ({}, {"half_width": 0.1, "effort": {"precision": 0.2, "budget_s": 6.0}}),
    ],
)
def test_other_measurements_are_not_reused(store: Store, plan: dict[str, Any], conditions: dict[str, Any]) -> None:
    """Not reused: if the plan forbids it; disturbed; another runtime or protocol; lower effort than the study's."""
    first, second = gates({0: 1.0, 1: 2.0, 2: 3.0}, **conditions), gates({0: 9.0, 1: 9.0, 2: 9.0})
    run(store, problem(**plan), trained_alike(Pretending(gate=first)), "first")
    run(store, problem(**plan), trained_alike(Pretending(gate=second)), "second")
    assert second.measured == [0, 1, 2]
    assert all(row.source_id is None for row in rows(store, Measurement))


def test_a_bad_canary_takes_measurements_back_and_they_are_made_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The target is good at first, 30 % slower after two measurements and at the next canary, then good: both are
    repeated.
    """
    monkeypatch.setattr(canaries, "RETRY_S", 0.0)
    values = iter([1.0, 20.0, 2.0, 3.0, 1.5])
    attempts: list[int] = []

    def gate(payload: Mapping[str, Any]) -> dict[str, Any]:
        attempts.append(payload["candidate"])
        return measured(next(values), f"{payload['identity']:x<64}")

    executor = trained_alike(Pretending(gate=gate, drifts=[0.0, 0.3, 0.3, 0.0, 0.0]))
    coordinator = run(store, problem(LISTENING, canary_every=2), executor, "study", limit=10.0)
    assert len(attempts) == 5
    stored = rows(store, Measurement)
    assert [row.trust for row in stored] == ["quarantined"] * 2 + ["good"] * 3
    page = candidates_page(store, "study").rows
    assert [row.state for row in page] == ["complete"] * 3, "the candidate exceeded the limit only on a bad target"
    good = {row.candidate_id: row.latency_ms for row in stored if row.trust == "good"}
    assert sorted(row.metrics["latency_ms"].value for row in page) == sorted(good.values())
    assert {row.state for row in rows(store, JobRow)} == {"done"}
    assert coordinator.progress.counts["complete"] == len(coordinator.progress.points) == 3
    assert stored[0].conditions["health"]["drift"] == 0.0
    strategy = coordinator._proposals.strategy
    assert isinstance(strategy, Listening)
    ended = [item for item in strategy.heard if item.state != "running"]
    heard = {item.suggestion.number: item.values["latency_ms"] for item in ended}
    assert heard == {row.number: row.metrics["latency_ms"].value for row in page}
    assert len(ended) == 3, "no value from the bad target may remain in the coordinator's progress"


def test_a_gate_taken_back_while_the_trained_file_waits_to_be_measured(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training changed the structure, so the file is measured; meanwhile the gate's own latency was invalidated."""
    monkeypatch.setattr(canaries, "RETRY_S", 0.0)
    gate = gates(dict.fromkeys(range(3), 1.0))
    run(store, problem(canary_every=1), SlowCanaries(gate=gate, drifts=[0.0, 0.3, 0.0]), "study")
    assert [row.state for row in candidates_page(store, "study").rows] == ["complete"] * 3
    assert {row.state for row in rows(store, JobRow)} == {"done"}


def test_the_last_measurements_have_a_canary_after_them_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canaries, "RETRY_S", 0.0)
    gate = gates(dict.fromkeys(range(3), 1.0))
    executor = trained_alike(Pretending(gate=gate, drifts=[0.0, 0.2]))
    run(store, problem(), executor, "study")
    assert len(gate.measured) == 6
    assert [row.trust for row in rows(store, Measurement)] == ["quarantined"] * 3 + ["good"] * 3


def test_without_canaries_a_bad_target_is_only_noted(store: Store) -> None:
    gate = gates(dict.fromkeys(range(3), 1.0))
    run(store, problem(canary_every=0), trained_alike(Pretending(gate=gate, drifts=[0.5])), "study")
    stored = rows(store, Measurement)
    assert [row.trust for row in stored] == ["unverified"] * 3
    assert {row.conditions["health"]["drift"] for row in stored} == {0.5}
