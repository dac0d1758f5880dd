"""Studies whose strategy observes zero-cost proxies."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from nas.errors import PlanError, UnknownNameError
from nas.export.weights import save_weights
from nas.strategies import Goal, Suggestion
from nas.strategies.pareto_bo import ParetoBoStrategy
from tests.unit.trials.assigned import assigned
from tests.unit.trials.coordinator.test_measured_only import SlowTrainings
from tests.unit.trials.pretending import latency
from trials.coordinator.coordinator import Coordinator
from trials.coordinator.description import sample
from trials.coordinator.progress import Progress
from trials.coordinator.targets.other_targets import OtherTargets
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem
from trials.store.read.history import stored_suggestions
from trials.store.read.rows import study_row
from trials.store.store import Store
from trials.store.write.targets import add_target

SPEC = {"runtime": "pretended"}
TARGETS = {
    name: {"spec": {"name": name, **SPEC}, "references": {"r5": 1.0}, "description": {"cores": 2}}
    for name in ("local", "other")
}
GOAL = Goal({"accuracy": "maximize", "latency_ms": "minimize"}, {})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'nas.db'}")
    for name, target in TARGETS.items():
        store.write(add_target, name, target, target["references"])
    yield store
    store.close()


def problem(proxies: list[str], **plan: Any) -> Problem:
    data = {
        "task": {"name": "digits", "image_size": 8},
        "space": {"name": "plain_convnet"},
        "strategy": {"name": "pareto_bo", "n_startup_trials": 3, "shortlist": 2, "proxies": proxies},
        "measure": {"audit": 0.0},
        "targets": [{"name": name} for name in TARGETS],
        "executor": "local",
        "budget": {"trials": 5, "measurements": 5},
    }
    return open_problem(make_plan(data | plan))


class Scoring(SlowTrainings):
    """Gates on the first target return a score; every fourth candidate has a reason instead."""

    def __init__(self) -> None:
        super().__init__(during=3)
        self._gate = self._scored
        self.asked: set[tuple[str, tuple[str, ...]]] = set()

    def _scored(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        target = payload["target"]["spec"]["name"]
        self.asked.add((target, tuple(payload["proxies"])))
        value = int(payload["identity"][4:8], 16) / 0xFFFF
        known = payload["proxies"] and payload["candidate"] % 4
        return {
            "metrics": {"size_bytes": 1.0, **({"naswot": value} if known else {})},
            "unscored": {} if known else {name: "no activation" for name in payload["proxies"]},
            "structure_hash": payload["identity"],
            "latency": latency(1 + value),
        }


def run(store: Store, wanted: Problem, executor: Scoring) -> Coordinator:
    coordinator = Coordinator(store, assigned(store, wanted, targets=TARGETS), executor, {})
    assert coordinator.run() == "complete"
    return coordinator


def test_scores_are_stored_and_observed(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    wanted, executor = problem(["naswot"]), Scoring()
    with caplog.at_level(logging.WARNING):
        run(store, wanted, executor)
    assert executor.asked == {("local", ("naswot",)), ("other", ())}, "a network is scored once"
    assert "proxy naswot could not score trial 0: no activation" in caplog.text
    rows = store.read(stored_suggestions, store.read(study_row, "study").id)
    observations = Progress(wanted, {}).restore(rows)
    seen = [dict(item.proxies) for item in observations]
    stored = [{name: row.metrics[name, ""].value for name in ("naswot",) if (name, "") in row.metrics} for row in rows]
    assert seen == stored
    assert {len(scores) for scores in seen} == {0, 1}


def test_a_rebuilt_strategy_proposes_and_chooses_the_same(store: Store) -> None:
    wanted = problem(["naswot"])
    coordinator = run(store, wanted, Scoring())
    live = coordinator._proposals.strategy
    rows = store.read(stored_suggestions, store.read(study_row, "study").id)
    rebuilt = wanted.strategy(GOAL, wanted.plan.seed)
    observations = Progress(wanted, {}).restore(rows)
    rebuilt.observe(observations)
    build = partial(sample, wanted, OtherTargets(store, coordinator.assignment))

    def proposed(strategy: Any) -> Suggestion:
        found: Suggestion = strategy.propose(build, len(rows))[0]
        return found

    assert proposed(live) == proposed(rebuilt)
    measured = [item.suggestion.number for item in observations if item.state == "measured_only"]
    assert len(measured) > 1
    assert live.choose(measured, len(rows)) == rebuilt.choose(measured, len(rows))


def test_without_proxies_nothing_is_scored(store: Store) -> None:
    executor = Scoring()
    run(store, problem([]), executor)
    assert {proxies for _, proxies in executor.asked} == {()}


def test_unknown_proxies_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown proxy 'synflo'; did you mean 'synflow'"):
        problem(["synflo"])
    with pytest.raises(
        PlanError, match=r"proxies='synflow'; need a list of names, such as \[synflow\]; known: grad_norm, naswot"
    ):
        ParetoBoStrategy(GOAL, 0, proxies="synflow")
    with pytest.raises(PlanError, match="name each proxy once"):
        problem(["synflow", "synflow"])
    with pytest.raises(PlanError, match="has no parameter 'proxies'"):
        problem([], strategy={"name": "random", "proxies": ["synflow"]})


def flat() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def test_networks_with_given_weights_have_no_proxies(tmp_path: Path) -> None:
    save_weights(flat(), tmp_path / "weights.safetensors")
    space = {"name": "module", "factory": f"{__name__}:flat", "weights": str(tmp_path / "weights.safetensors")}
    with pytest.raises(PlanError, match="start from given weights"):
        problem(["synflow"], space=space)
