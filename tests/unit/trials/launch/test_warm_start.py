"""Studies that start from earlier ones, and studies with priors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torch import nn
from typer.testing import CliRunner

import measured_nas as mn
from nas.errors import PlanError, UnknownNameError
from nas.space import Chooser, SearchSpace
from nas.tasks import Task
from tests.unit.trials.assigned import assigned
from tests.unit.trials.coordinator.test_measured_only import TARGET, SlowTrainings
from trials.cli.commands import register_commands
from trials.cli.console import app
from trials.coordinator.coordinator import Coordinator
from trials.launch import warm_start
from trials.launch.warm_start import earlier_results
from trials.plans.answers import prior_weights, questions_of
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem
from trials.plans.studies import study_specs
from trials.store.read.history import earlier_studies, stored_suggestions
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
    "budget": {"trials": 6, "measurements": 0},
}


class Other(SearchSpace):
    """A space that has no choice in common with others."""

    def build(self, chooser: Chooser, task: Task) -> nn.Module:
        width = int(chooser.choose("only here", (2, 4), ordered=True))  # type: ignore[arg-type]
        return nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), task.head(width, 1))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'nas.db'}")
    store.write(add_target, "local", TARGET, TARGET["references"])
    yield store
    store.close()


def problem(**changes: Any) -> Problem:
    return open_problem(make_plan({**PLAN, **changes}))


def run(store: Store, problem: Problem, name: str, trials: int | None = None) -> list[StoredSuggestion]:
    """Run a study on workers that only pretend; with ``trials``, the coordinator is killed after so many."""

    class Killed(Exception):
        pass

    def kill(coordinator: Coordinator) -> None:
        if trials is not None and coordinator.progress.num_finished >= trials:
            raise Killed

    assignment = assigned(store, problem, name=name, targets={"local": TARGET})
    try:
        Coordinator(store, assignment, SlowTrainings(0), {}, kill).run()
    except Killed:
        assert trials is not None
    store.write(release_lease, assignment.lease, "finished", {})  # long runs renew it
    return store.read(stored_suggestions, store.read(study_row, name).id)


def answers(suggestions: list[StoredSuggestion]) -> list[Any]:
    return [item.suggestion.answers for item in suggestions]


def test_a_resumed_study_proposes_the_same_although_the_earlier_one_was_deleted(store: Store) -> None:
    learnable = {
        "policies": [{"name": "sparsity", "scope": "stage", "densities": [0.1, 0.25, 0.5, 1.0]}],
        "objectives": {"density": "minimize"},
        "strategy": {"name": "pareto_bo", "n_startup_trials": 5, "shortlist": 2},
        "budget": {"trials": 10, "measurements": 0},
    }
    run(store, problem(**learnable), "first")
    warm = problem(**learnable, warm_start=["first"], seed=1)
    run(store, warm, "kept", trials=7)
    kept = run(store, warm, "kept")
    assert answers(kept) != answers(run(store, problem(**learnable, seed=1), "cold"))
    started = run(store, warm, "resumed", trials=7)
    assert 7 <= len(started) < 10
    store.delete_study("first")
    assert answers(run(store, warm, "resumed")) == answers(kept)


def test_the_copy_is_what_the_earlier_study_found(store: Store) -> None:
    found = run(store, problem(), "first")
    (copied,) = _copied(store, problem(warm_start=["first", "first"]))
    assert [item.suggestion.answers for item in copied.observations] == answers(found)
    assert [item.suggestion.questions for item in copied.observations] == [item.suggestion.questions for item in found]
    for item, stored in zip(copied.observations, found, strict=True):
        assert item.values["accuracy"] == stored.metrics["accuracy", ""].value
        assert item.values["latency_ms"] == stored.metrics["latency_ms", "local"].value
        assert item.suggestion.sampler_state["features"]["MACs"] > 0


def test_of_a_long_study_the_front_and_the_newest_are_copied(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run(store, problem(), "first")
    best = max(found, key=lambda item: item.metrics["accuracy", ""].value)  # the latencies are equal
    monkeypatch.setattr(warm_start, "NEWEST", 2)
    (copied,) = _copied(store, problem(warm_start=["first"]))
    numbers = {item.suggestion.number for item in copied.observations}
    assert numbers == {best.suggestion.number, 4, 5}


def test_another_target_is_taken_if_the_objective_s_own_is_missing(store: Store) -> None:
    run(store, problem(), "first")
    other = problem(warm_start=["first"], targets=[{"name": "elsewhere"}], objectives={"latency_ms": "minimize"})
    (copied,) = _copied(store, other)
    assert set(copied.observations[0].values) == {"latency_ms"}


def test_an_earlier_study_of_no_use_is_refused_with_the_reason(store: Store) -> None:
    run(store, problem(budget={"trials": 1, "measurements": 0}), "short")
    run(store, problem(), "first")
    with pytest.raises(UnknownNameError, match=r"no study 'frist' .*did you mean 'first'"):
        earlier_results(store, problem(warm_start=["frist"]))
    with pytest.raises(PlanError, match=r"study 'short' has 1 complete candidates .* at least 2 are needed"):
        earlier_results(store, problem(warm_start=["short"]))
    with pytest.raises(PlanError, match=r"study 'first' has no value of any objective of this study \(energy_mj\)"):
        earlier_results(store, problem(warm_start=["first"], objectives={"energy_mj": "minimize"}))
    with pytest.raises(PlanError, match="study 'first' has no choice in common with this study"):
        earlier_results(store, problem(warm_start=["first"], space=f"{__name__}:Other"))


def test_an_unknown_study_is_refused_before_anything_is_stored(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    file = tmp_path / "plan.yaml"
    file.write_text("task: {name: digits, image_size: 8}\nspace: plain_convnet\n")
    register_commands()
    done = CliRunner().invoke(app, ["search", str(file), "warm_start=[first]", "--storage", url])
    assert "no study 'first'" in str(done.exception)
    with pytest.raises(UnknownNameError, match="no study 'first'"):
        mn.search(mn.Plan(**PLAN, warm_start=["first"]), storage=url, progress=False)
    assert mn.list_studies(url) == []


def test_strategies_that_can_t_use_it_are_refused_with_those_that_can() -> None:
    with pytest.raises(PlanError, match="tpe can't start from earlier studies; strategies that can: pareto_bo"):
        problem(strategy="tpe", warm_start=["first"])
    with pytest.raises(PlanError, match="strategy tpe has no use for them; strategies that have: pareto_bo, random"):
        problem(strategy="tpe", priors={"stage1.depth": 2})


def test_a_baseline_starts_from_nothing() -> None:
    plan = make_plan({**PLAN, "warm_start": ["first"], "priors": {"stage1.depth": 2}})
    _, baseline = study_specs(plan, "study", "random")
    assert (baseline.plan.warm_start, baseline.plan.priors) == ((), {})


def test_priors_weigh_options_by_name() -> None:
    questions = questions_of(problem().searched)
    found = prior_weights(questions, {"stage1.depth": 2, "dropout": {"0.1": 3}, "stage1.conv1.kernel": {"7": 0.5}})
    assert found == {"stage1.depth": (1, 4), "dropout": (1, 3, 1), "stage1.conv1.kernel": (1, 1, 1, 0.5)}


@pytest.mark.parametrize(
    ("priors", "message"),
    [
        ({"stage1.dept": 2}, r"priors: no choice 'stage1\.dept'; did you mean 'stage1\.depth'"),
        ({"stage1.depth": 3}, r"priors\.stage1\.depth: stage1\.depth can't be '3'; allowed: 1, 2"),
        ({"stage1.depth": {"1": 0}}, r"priors\.stage1\.depth: the weight of 1 is 0\.0; give a number above 0"),
    ],
)
def test_a_mistake_in_priors_is_refused(priors: Any, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        problem(priors=priors)


def test_candidates_follow_the_priors(store: Store) -> None:
    depths = {f"stage{stage}.depth": {"2": 50} for stage in (1, 2, 3)}
    found = run(store, problem(priors=depths), "study")
    assert [item.suggestion.answers["stage1.depth"] for item in found].count(2) >= 5


def _copied(store: Store, problem: Problem) -> list[Any]:
    """What a new study of this problem stores, read back."""
    assignment = assigned(store, problem, name="copy")
    return store.read(earlier_studies, assignment.lease.study_id)
