"""Studies that measure more candidates than they train."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import pytest

from nas.strategies import Goal, Limit, Observation, Strategy
from nas.strategies.random import RandomStrategy
from tests.unit.trials.assigned import assigned
from tests.unit.trials.pretending import Pretending, latency
from trials.coordinator.coordinator import Coordinator
from trials.coordinator.targets import canaries
from trials.executors import TRAIN_POOL, Event, Job
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem
from trials.store.read.costs import study_costs
from trials.store.read.history import stored_suggestions
from trials.store.read.rows import study_row
from trials.store.records import StoredSuggestion
from trials.store.store import Store
from trials.store.write.targets import add_target

TARGET = {"spec": {"name": "local", "runtime": "pretended"}, "references": {"r5": 1.0}, "description": {"cores": 2}}
FASTEST = "tests.unit.trials.coordinator.test_measured_only:Fastest"


class Fastest(Strategy):
    """Proposes at random, and trains the candidate with the lowest measured latency."""

    chooses: ClassVar[bool] = True

    def __init__(self, goal: Goal, seed: int) -> None:
        super().__init__(goal, seed)
        self._random = RandomStrategy(goal, seed)
        self.seen: dict[int, Observation] = {}

    def propose(self, build: Any, number: int) -> Any:
        return self._random.propose(build, number)

    def observe(self, observations: Sequence[Observation]) -> None:
        self.seen |= {item.suggestion.number: item for item in observations}

    def choose(self, measured: Sequence[int], number: int) -> int:
        assert {self.seen[each].state for each in measured} == {"measured_only"}
        return min(measured, key=lambda each: self.seen[each].values["latency_ms"])


def latency_of(payload: Mapping[str, Any]) -> float:
    """From 1 to 3 ms, given by the network."""
    return 1 + 2 * int(payload["identity"][:4], 16) / 0xFFFF


def gate(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "metrics": {"size_bytes": 1.0},
        "structure_hash": payload["identity"],
        "latency": latency(latency_of(payload)),
    }


class SlowTrainings(Pretending):
    """A training ends once ``during`` other jobs have ended since it began, or nothing else is left to do."""

    def __init__(self, during: int, **options: Any) -> None:
        super().__init__(gate=gate, **options)
        self._during, self._ended, self._idle = during, 0, 0

    def submit(self, job: Job) -> None:
        super().submit(job)
        self._idle = 0
        if job.pool == TRAIN_POOL:
            self._ended = 0

    def poll(self, timeout_s: float) -> list[Event]:
        others = [item for item in self._events if item[0] != TRAIN_POOL]
        if others:
            self._events.remove(others[0])
            self._ended += 1
            return [others[0][1]]
        self._idle += 1
        return super().poll(timeout_s) if self._ended >= self._during or self._idle > 2 else []

    def forget(self) -> None:
        """Lose all jobs, as when the coordinator is killed."""
        self._events.clear()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'nas.db'}")
    store.write(add_target, "local", TARGET, TARGET["references"])
    yield store
    store.close()


def problem(strategy: str, **budget: Any) -> Problem:
    plan = {
        "task": {"name": "digits", "image_size": 8},
        "space": {"name": "plain_convnet"},
        "strategy": {"name": strategy},
        "measure": {"audit": 0.0},
        "executor": "local",
        "budget": {"trials": 4, **budget},
    }
    return open_problem(make_plan(plan))


def run(
    store: Store, problem: Problem, executor: Pretending, limit: float | None = None, expected: str = "complete"
) -> Coordinator:
    limits = {"latency_ms": Limit(max=limit)} if limit else {}
    coordinator = Coordinator(
        store, assigned(store, problem, name="study", limits=limits, targets={"local": TARGET}), executor, {}
    )
    assert coordinator.run() == expected
    return coordinator


def stored(store: Store) -> list[StoredSuggestion]:
    return store.read(stored_suggestions, store.read(study_row, "study").id)


def states(store: Store) -> Counter[str]:
    return Counter(item.state for item in stored(store) if not item.duplicate)


def test_measuring_fills_the_time_of_trainings_and_the_fastest_is_trained_next(store: Store) -> None:
    coordinator = run(store, problem(FASTEST, measurements=12), SlowTrainings(3))
    found = states(store)
    assert found["complete"] == 4
    assert 6 <= found["measured_only"] <= 12
    assert found.keys() == {"complete", "measured_only"}
    assert +coordinator.progress.counts == found
    assert (coordinator.progress.num_trials, coordinator.progress.num_measured) == (4, found["measured_only"])
    trained = [item.metrics["latency_ms", "local"].value for item in stored(store) if item.trained]
    passed_over = [item.metrics["latency_ms", "local"].value for item in stored(store) if not item.trained]
    assert sorted(trained)[2] < sorted(passed_over)[len(passed_over) // 2]


def test_costs_say_what_was_measured_trained_and_spared(store: Store) -> None:
    run(store, problem("random", measurements=40), SlowTrainings(0), limit=1.8)
    found, costs = states(store), study_costs(store, "study")
    assert (costs.trained, costs.rejected, costs.measured_only) == (4, found["infeasible"], found["measured_only"])
    assert (costs.suggestions - costs.duplicates, costs.measured) == (found.total(), found.total())
    assert costs.saved_s["limits before training"] == pytest.approx(costs.rejected * costs.train_s / 4)
    assert costs.to_json()["saved_s"]["stored latencies"] == 0


def test_without_measurements_every_candidate_is_trained(store: Store) -> None:
    run(store, problem(FASTEST, measurements=0), SlowTrainings(3))
    assert states(store) == {"complete": 4}


def test_a_strategy_that_does_not_choose_measures_no_more_than_it_trains(store: Store) -> None:
    run(store, problem("random", measurements=40), SlowTrainings(5))
    found = states(store)
    assert found["complete"] == 4
    assert found["measured_only"] <= 1


def test_rejected_candidates_count_as_measurements(store: Store) -> None:
    """At 2 of 1 to 3 ms, half of the candidates are rejected; four are trained all the same."""
    run(store, problem("random", measurements=40), SlowTrainings(0), limit=1.8)
    found = states(store)
    assert found["complete"] == 4
    assert found["infeasible"] > 0


def test_the_measurements_end_a_study_whose_limit_none_keeps(store: Store) -> None:
    run(store, problem("random", measurements=5), SlowTrainings(0), limit=0.5)
    assert states(store) == {"infeasible": 5}


def test_a_training_that_fails_counts_as_a_trial(store: Store) -> None:
    class Failing(SlowTrainings):
        def _result(self, kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
            if kind == "train" and sum(ran == "train" for ran, _ in self.ran) == 2:
                raise RuntimeError("the loss is not finite")
            return super()._result(kind, payload)

    run(store, problem(FASTEST, measurements=12), Failing(2))
    found = states(store)
    assert (found["complete"], found["failed"]) == (3, 1)


@pytest.mark.parametrize("strategy", [FASTEST, "pareto_bo"])
def test_a_study_cut_short_goes_on_with_what_it_measured(store: Store, strategy: str) -> None:
    """Nothing is lost or trained twice, and the budgets are kept; each coordinator is killed after a few rounds."""

    class Killed(Exception):
        pass

    executor = SlowTrainings(3)
    wanted = problem(strategy, measurements=12)
    assignment = assigned(store, wanted, name="study", limits={}, targets={"local": TARGET})
    seen: set[int] = set()
    for rounds in count(2):
        left = rounds

        def count_down(coordinator: Coordinator) -> None:
            nonlocal left
            left -= 1
            if not left:
                raise Killed

        try:
            assert Coordinator(store, assignment, executor, {}, count_down).run() == "complete"
            break
        except Killed:
            executor.forget()
            known = {item.suggestion.number for item in stored(store)}
            assert seen <= known
            seen = known
    assert rounds > 4
    found = states(store)
    assert found["complete"] == 4
    assert found["measured_only"] <= 12
    assert found.keys() <= {"complete", "measured_only"}


def test_what_a_bad_canary_takes_back_is_measured_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canaries, "RETRY_S", 0.0)
    executor = SlowTrainings(3, drifts=[0.0, 0.0, 1.0])
    plan = problem(FASTEST, measurements=12).plan.to_json()
    wanted = open_problem(make_plan({**plan, "measure": {**plan["measure"], "canary_every": 4}}))
    run(store, wanted, executor)
    gates = Counter(candidate for kind, candidate in executor.ran if kind == "gate")
    assert max(gates.values()) == 2
    found = states(store)
    assert found["complete"] == 4
    assert found.keys() == {"complete", "measured_only"}
