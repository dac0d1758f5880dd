"""Candidates that are enqueued by hand, in the plan or later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from nas.errors import PlanError
from nas.strategies import Limit
from tests.unit.trials.assigned import assigned
from tests.unit.trials.coordinator.test_measured_only import FASTEST, TARGET, SlowTrainings, gate
from tests.unit.trials.pretending import Pretending
from trials.coordinator.coordinator import Coordinator
from trials.launch.enqueueing import enqueue
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem
from trials.plans.studies import study_specs
from trials.store.read.history import stored_suggestions
from trials.store.read.rows import study_row
from trials.store.records import StoredSuggestion
from trials.store.store import Store
from trials.store.write.leases import release_lease
from trials.store.write.targets import add_target

PLAN = {
    "task": {"name": "digits", "image_size": 8},
    "space": {"name": "plain_convnet"},
    "measure": {"audit": 0.0},
    "executor": "local",
}
WIDE = {"stage1.conv1.width": 24}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'nas.db'}")
    store.write(add_target, "local", TARGET, TARGET["references"])
    yield store
    store.close()


def problem(strategy: str = "random", trials: int = 4, enqueued: Any = (), **budget: Any) -> Problem:
    plan = {**PLAN, "strategy": strategy, "enqueue": list(enqueued), "budget": {"trials": trials, **budget}}
    return open_problem(make_plan(plan))


def coordinator(store: Store, problem: Problem, executor: Pretending, **options: Any) -> Coordinator:
    limits = options.pop("limits", {})
    assignment = assigned(store, problem, limits=limits, targets={"local": TARGET})
    return Coordinator(store, assignment, executor, {}, **options)


def stored(store: Store) -> list[StoredSuggestion]:
    return store.read(stored_suggestions, store.read(study_row, "study").id)


def answers(item: StoredSuggestion) -> Mapping[str, Any]:
    return item.suggestion.answers


@pytest.mark.parametrize("strategy", ["random", "pareto_bo", "tpe", "nsga2", FASTEST])
def test_enqueued_candidates_come_first_and_are_trained(store: Store, strategy: str) -> None:
    wanted = problem(strategy, enqueued=[{"stage1.conv1.width": 24, "stage1.depth": 1}, WIDE])
    assert coordinator(store, wanted, SlowTrainings(2)).run() == "complete"
    first, second, *others = stored(store)
    assert (answers(first)["stage1.conv1.width"], answers(first)["stage1.depth"]) == (24, 1)
    assert answers(second)["stage1.conv1.width"] == 24
    assert first.suggestion.enqueued
    assert second.suggestion.enqueued
    assert not any(item.suggestion.enqueued for item in others)
    assert (first.state, second.state) == ("complete", "complete")
    assert sum(item.state == "complete" for item in others if not item.duplicate) == 2


def test_the_default_strategy_learns_the_features_of_an_enqueued_candidate(store: Store) -> None:
    coordinator(store, problem("pareto_bo", enqueued=[WIDE], trials=2), SlowTrainings(2)).run()
    enqueued, own, *_ = (item.suggestion.sampler_state["features"] for item in stored(store))
    assert enqueued.keys() >= {"MACs", "parameters"}
    assert own.keys() >= {"MACs", "parameters"}


def test_missing_answers_are_drawn_with_the_seed_of_the_study(store: Store, tmp_path: Path) -> None:
    wanted = problem(enqueued=[WIDE, {}], trials=2)
    coordinator(store, wanted, Pretending()).run()
    again = Store(f"sqlite:///{tmp_path / 'again.db'}")
    again.write(add_target, "local", TARGET, TARGET["references"])
    coordinator(again, wanted, Pretending()).run()
    assert [answers(item) for item in stored(store)] == [answers(item) for item in stored(again)]
    again.close()


def test_an_infeasible_one_is_not_trained(store: Store) -> None:
    executor = Pretending(gate=gate)
    limits = {"latency_ms": Limit(max=0.5)}
    coordinator(store, problem(enqueued=[WIDE], trials=1), executor, limits=limits).run()
    assert [kind for kind, _ in executor.ran] == ["gate"]
    assert stored(store)[0].state == "infeasible"


def test_a_measured_candidate_is_trained_when_it_is_enqueued(store: Store) -> None:
    coordinator(store, problem(FASTEST, measurements=12), SlowTrainings(3)).run()
    passed_over = next(item for item in stored(store) if item.state == "measured_only")
    enqueue(store, "study", answers(passed_over))
    executor = SlowTrainings(3)
    found = coordinator(store, problem(FASTEST, trials=5, measurements=12), executor)
    assert found.run() == "complete"
    last = stored(store)[-1]
    assert last.suggestion.enqueued
    assert last.duplicate
    assert (last.candidate, last.state) == (passed_over.candidate, "complete")
    assert [kind for kind, _ in executor.ran if kind in ("gate", "train")] == ["train"]
    assert (found.progress.num_trials, found.num_left) == (5, 0)


def test_one_that_is_enqueued_while_the_study_runs_is_proposed_soon(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trials.coordinator.coordinator.LEASE_S", 0.0)  # renewed, and read, in every round
    added = []

    def add(running: Coordinator) -> None:
        if not added and running.progress.num_suggestions == 2:
            added.append(enqueue(store, "study", WIDE))

    coordinator(store, problem(), Pretending(), on_update=add).run()
    assert "running" in added[0]
    (found,) = (item for item in stored(store) if item.suggestion.enqueued)
    assert found.suggestion.number <= 3
    assert found.state == "complete"


@pytest.mark.parametrize("strategy", [FASTEST, "pareto_bo"])
def test_nothing_is_lost_or_proposed_twice_when_the_coordinator_is_killed(store: Store, strategy: str) -> None:
    class Killed(Exception):
        pass

    executor = SlowTrainings(3)
    wanted = problem(strategy, enqueued=[WIDE, {"stage1.depth": 1}, WIDE], measurements=8)
    assignment = assigned(store, wanted, targets={"local": TARGET})
    for rounds in count(2):
        left = rounds

        def count_down(running: Coordinator) -> None:
            nonlocal left
            left -= 1
            if not left:
                raise Killed

        try:
            assert Coordinator(store, assignment, executor, {}, count_down).run() == "complete"
            break
        except Killed:
            executor.forget()
    found = [item for item in stored(store) if item.suggestion.enqueued]
    assert [item.suggestion.number for item in found] == [0, 1, 2]
    assert {item.state for item in found} == {"complete"}
    assert sum(item.state == "complete" for item in stored(store) if not item.duplicate) == 4


def test_a_plan_with_an_impossible_candidate_is_refused_before_anything_runs() -> None:
    with pytest.raises(
        PlanError, match=r"enqueue\.1: no choice 'stage1\.conv1\.with'; did you mean 'stage1\.conv1\.width'"
    ):
        problem(enqueued=[WIDE, {"stage1.conv1.with": 8}])


def test_a_list_of_networks_takes_no_more() -> None:
    plan = {**PLAN, "strategy": {"name": "given", "choices": [WIDE]}, "enqueue": [WIDE]}
    with pytest.raises(PlanError, match="strategy given proposes only its list"):
        open_problem(make_plan(plan))


def test_a_later_mistake_is_refused_and_nothing_is_stored(store: Store) -> None:
    assigned(store, problem())
    with pytest.raises(PlanError, match=r"study study: stage1\.conv1\.width can't be 7; allowed: "):
        enqueue(store, "study", {"stage1.conv1.width": 7})
    assert store.read(study_row, "study").enqueued == []


def test_what_makes_the_study_go_on_depends_on_its_state(store: Store) -> None:
    lease = assigned(store, problem()).lease
    assert enqueue(store, "study", WIDE).endswith("within seconds, unless its budget ends first")
    store.write(release_lease, lease, "interrupted", {})
    assert enqueue(store, "study", WIDE).endswith("nas resume study")
    store.write(release_lease, assigned(store, problem()).lease, "complete", {})
    assert enqueue(store, "study", WIDE).endswith("nas extend study budget.trials=+1")


def test_a_baseline_stands_alone() -> None:
    plan = make_plan({**PLAN, "enqueue": [WIDE]})
    search, baseline = study_specs(plan, "study", "random")
    assert (search.plan.enqueue, baseline.plan.enqueue) == ((WIDE,), ())
