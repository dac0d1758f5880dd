"""Latencies that earlier studies measured on other targets reach the strategy as features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.strategies import FEATURES, OTHER_TARGET, PREDICTED
from tests.unit.trials.assigned import assigned
from tests.unit.trials.pretending import Pretending, latency
from trials.coordinator.coordinator import Coordinator
from trials.coordinator.targets.other_targets import FEWEST, OtherTargets
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem
from trials.reporting.study import study_view
from trials.store.read.history import stored_suggestions
from trials.store.read.rows import study_row
from trials.store.records import StoredSuggestion
from trials.store.store import Store
from trials.store.write.targets import add_target

NAME = f"{OTHER_TARGET}phone"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'nas.db'}")
    for name in ("phone", "local"):
        store.write(add_target, name, described(name), {"r5": 1.0})
    yield store
    store.close()


def described(name: str) -> dict[str, Any]:
    return {"spec": {"name": name, "runtime": "pretended"}, "references": {"r5": 1.0}, "description": {"cores": 2}}


def problem(target: str, trials: int, **parts: Any) -> Problem:
    plan = {
        "task": {"name": "digits", "image_size": 8},
        "space": {"name": "plain_convnet"},
        "targets": [{"name": target}],
        "measure": {"audit": 0.0},
        "executor": "local",
        "budget": {"trials": trials, "measurements": 0},
    }
    return open_problem(make_plan({**plan, **parts}))


def gate(payload: Mapping[str, Any]) -> dict[str, Any]:
    """A latency that grows with the convolutions of the network."""
    widths = [value for value in payload["architecture"]["choices"].values() if isinstance(value, int)]
    ms = 1 + sum(widths) / 100
    return {"metrics": {"size_bytes": 1.0}, "structure_hash": payload["identity"], "latency": latency(ms)}


def run(store: Store, problem: Problem, name: str) -> list[StoredSuggestion]:
    targets = {item.name: described(item.name) for item in problem.plan.targets}
    assignment = assigned(store, problem, name=name, targets=targets)
    assert Coordinator(store, assignment, Pretending(gate=gate), {}).run() == "complete"
    return store.read(stored_suggestions, store.read(study_row, name).id)


def test_measured_networks_have_their_latency_and_others_a_predicted_one(store: Store) -> None:
    earlier = run(store, problem("phone", FEWEST + 2), "earlier")
    assert all(NAME not in item.suggestion.sampler_state[FEATURES] for item in earlier)
    other_targets = OtherTargets(store, assigned(store, problem("local", 14), name="later"))
    for item in earlier:
        known = other_targets.features(item.suggestion, item.suggestion.sampler_state[FEATURES])
        assert known == {NAME: item.metrics["latency_ms", "phone"].value}
    later = run(store, problem("local", 14), "later")
    guess = np.array([item.suggestion.sampler_state[FEATURES][NAME] for item in later])
    true = np.array([item.metrics["latency_ms", "local"].value for item in later])
    assert np.median(np.abs(guess - true) / true) < 0.2  # the targets are equally fast
    assert PREDICTED in later[-1].suggestion.sampler_state
    with study_view(store, "later") as study:
        (error,) = study.prediction_errors
        assert error.target == "local"
        assert error.count == sum(PREDICTED in item.suggestion.sampler_state for item in later if not item.duplicate)
        assert error.median_relative_error < 0.2


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("phone", {}),  # the study's own target
        ("local", {"measure": {"cache": False}}),
        ("local", {"space": {"name": "plain_convnet", "preset": "paper"}}),
        ("local", {"task": {"name": "digits", "image_size": 16}}),
    ],
)
def test_other_networks_and_own_latencies_are_not_transferred(
    store: Store, target: str, parts: Mapping[str, Any]
) -> None:
    (first, *_) = run(store, problem("phone", FEWEST + 2), "earlier")
    later = OtherTargets(store, assigned(store, problem(target, 4, **parts), name="later"))
    assert later.features(first.suggestion, {}) == {}


def test_few_networks_are_not_transferred(store: Store) -> None:
    (first, *_) = run(store, problem("phone", FEWEST - 1), "earlier")
    later = OtherTargets(store, assigned(store, problem("local", 4), name="later"))
    assert later.features(first.suggestion, {}) == {}
