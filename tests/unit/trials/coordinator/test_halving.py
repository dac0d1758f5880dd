"""Studies with successive halving: which trainings continue, and what a killed coordinator may lose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from nas.strategies import Goal, Limit, Observation
from nas.strategies.random import RandomStrategy
from tests.unit.trials.assigned import assigned
from tests.unit.trials.pretending import Pretending, latency
from trials.coordinator.coordinator import Coordinator
from trials.coordinator.progress import Progress
from trials.coordinator.targets import canaries
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem
from trials.store.read.history import stored_suggestions
from trials.store.read.rows import study_row
from trials.store.read.trials import all_trials
from trials.store.records import StoredSuggestion
from trials.store.store import Store
from trials.store.write.targets import add_target

TARGET = {"spec": {"name": "local", "runtime": "pretended"}, "references": {"r5": 1.0}, "description": {"cores": 2}}
EPOCHS = 9
#: Number of a candidate → milliseconds, and accuracy in percent after 1, 3 and 9 epochs.
TABLE = [
    (2.0, 50, 60, 70),
    (3.0, 40, 55, 65),
    (2.5, 65, 70, 80),
    (1.0, 55, 65, 72),
    (4.0, 90, 91, 92),
    (2.0, 30, 50, 95),
    (1.5, 58, 64, 71),
    (3.0, 20, 30, 40),
    (2.2, 10, 20, 30),
]


class Planted(Pretending):
    """Latencies and scores of a table; each training's folder keeps the number of its epochs, as a checkpoint does."""

    def __init__(self, **options: Any) -> None:
        super().__init__(gate=self._gated, **options)
        self._done: dict[str, int] = {}
        #: (candidate, first epoch, number of epochs behind the last one) of each part of a training.
        self.parts: list[tuple[int, int, int]] = []

    def _gated(self, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        own, *_ = TABLE[payload["candidate"] % len(TABLE)]
        return {"metrics": {"size_bytes": 1.0}, "structure_hash": "s", "latency": latency(own)}

    def _result(self, kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        result = dict(super()._result(kind, payload))
        if kind not in ("rung", "train"):
            return result
        number, folder = payload["candidate"], payload["checkpoint"]
        epochs = payload.get("epochs", EPOCHS)
        self.parts.append((number, self._done.get(folder, 0), epochs))
        self._done[folder] = epochs
        _, *scores = TABLE[number % len(TABLE)]
        accuracy = scores[(1, 3, 9).index(epochs)] / 100
        if kind == "rung":
            return {"epochs": epochs, "scores": {"accuracy": accuracy}}
        return {**result, "metrics": {**result["metrics"], "accuracy": accuracy}}

    def forget(self) -> None:
        """Lose all jobs, as when the coordinator is killed."""
        self._events.clear()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'nas.db'}")
    store.write(add_target, "local", TARGET, TARGET["references"])
    yield store
    store.close()


def problem(strategy: str = "random", trials: int = len(TABLE), **changes: Any) -> Problem:
    plan = {
        "task": {"name": "digits", "image_size": 8},
        "space": {"name": "plain_convnet"},
        "strategy": {"name": strategy},
        "estimator": {"name": "training", "epochs": EPOCHS, "halving": {"first_epochs": 1}},
        "measure": {"audit": 0.0},
        "executor": "local",
        "budget": {"trials": trials, "measurements": 0},
    }
    return open_problem(make_plan({**plan, **changes}))


def run(store: Store, wanted: Problem, executor: Pretending, limit: float | None = None) -> Coordinator:
    limits = {"latency_ms": Limit(max=limit)} if limit else {}
    coordinator = Coordinator(
        store, assigned(store, wanted, name="study", limits=limits, targets={"local": TARGET}), executor, {}
    )
    assert coordinator.run() == "complete"
    return coordinator


def stored(store: Store) -> list[StoredSuggestion]:
    return store.read(stored_suggestions, store.read(study_row, "study").id)


def states(store: Store) -> Counter[str]:
    return Counter(item.state for item in stored(store) if not item.duplicate)


def test_the_best_third_of_each_rung_continues(store: Store) -> None:
    """Each decision was computed by hand: front first, then contribution to the hypervolume.

    After three results at the first rung, candidate 2 is the best; after four, candidate 3. After six, the best two are
    running already. After nine, candidate 4 is the third. Three results at the second rung let candidate 2 finish.
    """
    executor = Planted()
    coordinator = run(store, problem(), executor)
    assert executor.parts == [
        (0, 0, 1),
        (1, 0, 1),
        (2, 0, 1),
        (2, 1, 3),
        (3, 0, 1),
        (3, 1, 3),
        (5, 0, 1),
        (4, 0, 1),
        (6, 0, 1),
        (7, 0, 1),
        (8, 0, 1),
        (4, 1, 3),
        (2, 3, 9),
    ]
    assert states(store) == +coordinator.progress.counts == {"complete": 1, "stopped": 8}
    trials = all_trials(store, "study")
    assert [trials[2].metrics[name].value for name in ("accuracy_at_epoch_1", "accuracy_at_epoch_3", "accuracy")] == [
        0.65,
        0.7,
        0.8,
    ]
    assert trials[4].reason == "stopped after 3 of 9 epochs: others were better there when the budget was spent"
    assert "accuracy" not in trials[4].metrics
    assert coordinator.totals["trained"] == len(TABLE)


def test_infeasible_candidates_count_as_trials_and_reach_no_rung(store: Store) -> None:
    executor = Planted()
    run(store, problem(), executor, limit=2.6)
    assert not {1, 4, 7} & {number for number, *_ in executor.parts}
    assert states(store) == {"infeasible": 3, "complete": 1, "stopped": 5}
    assert sorted(Counter(last for _, _, last in executor.parts).items()) == [(1, 6), (3, 2), (9, 1)]


def test_a_training_that_fails_frees_no_place_at_its_rung(store: Store) -> None:
    class Failing(Planted):
        def _result(self, kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
            if kind == "rung" and payload["candidate"] == 2 and payload["epochs"] == 3:
                raise RuntimeError("the loss is not finite")
            return super()._result(kind, payload)

    executor = Failing()
    run(store, problem(), executor)
    assert sorted(number for number, first, _ in executor.parts if first == 1) == [3, 4]
    assert states(store) == {"failed": 1, "complete": 1, "stopped": 7}


def test_the_wall_time_ends_paused_trainings_too(store: Store) -> None:
    def overtime(coordinator: Coordinator) -> None:
        if coordinator.progress.paused:
            coordinator.totals["wall_s"] = 1e9

    wanted = problem(budget={"trials": 9, "measurements": 0, "wall_minutes": 60})
    assignment = assigned(store, wanted, name="study", targets={"local": TARGET})
    assert Coordinator(store, assignment, Planted(), {}, overtime).run() == "complete"
    assert states(store).keys() == {"stopped"}
    assert all_trials(store, "study")[0].reason == "stopped after 1 of 9 epochs: the wall-time budget is spent"


def test_measured_candidates_wait_for_a_training_and_trainings_wait_at_rungs(store: Store) -> None:
    executor = Planted()
    run(store, problem("pareto_bo", budget={"trials": 9, "measurements": 20}), executor)
    found = states(store)
    assert len({number for number, *_ in executor.parts}) == found["complete"] + found["stopped"] == 9
    assert found["complete"] >= 1
    assert found.keys() <= {"complete", "stopped", "measured_only"}


def test_an_extended_study_compares_with_all_results_but_leaves_stopped_trainings(store: Store) -> None:
    run(store, problem(), first := Planted())
    run(store, problem(trials=18), second := Planted())
    assert {number for number, *_ in first.parts} == set(range(9))
    assert {number for number, *_ in second.parts} == set(range(9, 18))
    assert states(store).keys() == {"complete", "stopped"}
    # The second half has the values of the first. Of equal ones the oldest come first: 2, 3, 4, 6, 11 and 12 are best.
    assert {number for number, begin, _ in second.parts if begin == 1} == {11, 12}


class Listening(RandomStrategy):
    """Keeps the last observation of each suggestion."""

    def __init__(self, goal: Goal, seed: int) -> None:
        super().__init__(goal, seed)
        self.seen: dict[int, Observation] = {}

    def observe(self, observations: Sequence[Observation]) -> None:
        self.seen |= {item.suggestion.number: item for item in observations}


def test_a_strategy_hears_what_the_tables_say_after_every_round(store: Store) -> None:
    """So a resumed study goes on like an uninterrupted one."""
    wanted = problem(f"{__name__}:Listening", trials=40)
    heard: list[Observation] = []

    def compare(coordinator: Coordinator) -> None:
        coordinator._context.store.flush()
        known = Progress(wanted, {})
        told = known.restore(stored(store))
        seen = coordinator._proposals.strategy.seen  # type: ignore[attr-defined]
        assert [seen[item.suggestion.number] for item in told] == told
        assert (known.paused, known.promotion(last=False), known.counts) == (
            coordinator.progress.paused,
            coordinator.progress.promotion(last=False),
            +coordinator.progress.counts,
        )
        heard.extend(told)

    assignment = assigned(store, wanted, name="study", targets={"local": TARGET})
    assert Coordinator(store, assignment, Planted(), {}, compare).run() == "complete"
    expected = [item for item in heard if item.state == "paused" and "accuracy" in item.values]
    assert expected
    assert all(item.spreads["accuracy"] > 0 for item in expected)


@pytest.mark.parametrize("strategy", ["random", "pareto_bo"])
def test_a_study_killed_at_any_round_loses_nothing(store: Store, strategy: str) -> None:
    """Each coordinator is killed a few rounds later than the one before it."""

    class Killed(Exception):
        pass

    executor = Planted()
    wanted = problem(strategy, trials=18)
    assignment = assigned(store, wanted, name="study", targets={"local": TARGET})
    scores: dict[tuple[int, str], float] = {}
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
            trials = all_trials(store, "study")
            known = {(item.number, name): value.value for item in trials for name, value in item.metrics.items()}
            assert scores.items() <= known.items()
            scores = known
    assert rounds > 4
    found = states(store)
    assert found.keys() == {"complete", "stopped"}
    assert found.total() == 18
    for number in range(18):
        own = [(first, last) for candidate, first, last in executor.parts if candidate == number]
        assert own[0] == (0, 1)
        steps = [part for part in own if part[0] < part[1]]
        assert steps == [(0, 1), (1, 3), (3, 9)][: len(steps)]
    for first, last in ((0, 1), (1, 3), (3, 9)):
        reached = {number for number, *part in executor.parts if part == [first, last]}
        assert len(reached) >= 18 // 3 ** [0, 1, 3].index(first)


def test_a_quarantined_measurement_is_repeated_and_the_training_still_waits(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canaries, "RETRY_S", 0.0)
    executor = Planted(drifts=[0.0, 0.0, 1.0])
    run(store, problem(measure={"audit": 0.0, "canary_every": 4}), executor)
    gates = Counter(candidate for kind, candidate in executor.ran if kind == "gate")
    assert max(gates.values()) == 2
    assert states(store).keys() == {"complete", "stopped"}
    assert all(first < last for _, first, last in executor.parts)
    assert len({number for number, first, _ in executor.parts if first == 1}) < 9
