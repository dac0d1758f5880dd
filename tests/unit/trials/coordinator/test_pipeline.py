"""The next step of a candidate, given the results of its jobs."""

from __future__ import annotations

from typing import Any

import pytest

from nas.errors import JobError
from tests.unit.trials.pretending import latency, timed
from trials.coordinator.pipeline import OpenTrial, Step, after, next_step
from trials.coordinator.repeats import after_repeat
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem

FILE = {"kind": "onnx", "uri": "/files/0/onnx", "sha256": "0", "size_bytes": 1, "record": {}}
TRAINED = {"metrics": {"accuracy": 0.5}, "structure_hash": "s", "artifacts": [FILE], "twin": "dense"}


@pytest.fixture(scope="module")
def two_targets() -> Problem:
    targets = [{"name": name, "runtime": "onnxruntime"} for name in ("here", "pi")]
    plan = {"task": {"name": "digits", "image_size": 8}, "space": {"name": "plain_convnet"}, "targets": targets}
    return open_problem(make_plan({**plan, "measure": {"audit": 0.0}}))


def trial(**results: dict[str, Any]) -> OpenTrial:
    """A trial with results; ``gate_here`` is the result of the gate on the target ``here``."""
    steps = {(kind, target): result for key, result in results.items() for kind, _, target in [key.partition("_")]}
    return OpenTrial(1, 0, "own", {}, "running", steps)


@pytest.mark.parametrize(
    ("results", "following"),
    [
        ({}, ("gate", "here")),
        ({"gate_here": {"structure_hash": "s"}}, ("gate", "pi")),
        ({"gate_here": {"structure_hash": "s"}, "gate_pi": {"structure_hash": "s"}}, ("train", "")),
        (
            {"gate_here": {"structure_hash": "s"}, "gate_pi": {"structure_hash": "other"}, "train": TRAINED},
            ("measure", "pi"),
        ),
        (
            {"gate_here": {"structure_hash": "s"}, "gate_pi": {"structure_hash": "s"}, "train": TRAINED},
            ("twin", "here"),
        ),
    ],
)
def test_steps_come_in_order_and_only_those_that_tell_something(
    two_targets: Problem, results: dict[str, dict[str, Any]], following: Step
) -> None:
    """A trained file with the structure that its gate measured is not measured again."""
    assert next_step(two_targets, trial(**results)) == following


def test_a_result_that_can_not_be_recorded_leaves_the_trial_as_it_was(two_targets: Problem) -> None:
    opened = trial()
    with pytest.raises(JobError, match="latency_ms@here is nan"):
        after(two_targets, {}, opened, ("gate", "here"), timed(float("nan")))
    assert opened.results == {}


def test_results_that_former_versions_stored_are_read(two_targets: Problem) -> None:
    """Older versions stored a training without intervals, and a twin whose record has more keys than today's."""
    twin = {**timed(3.0, "t"), "twin": "dense", "latency": latency(3.0), "taken_over": True}
    gates = {f"gate_{name}": {"metrics": {"size_bytes": 1}, "structure_hash": "s"} for name in ("here", "pi")}
    opened = trial(**gates, train=TRAINED, twin_here=twin, twin_pi=twin)
    assert next_step(two_targets, opened) is None
    again = {"seed": 1, "scores": {"accuracy": 0.6}}
    assert after_repeat(two_targets, {}, opened, ("retrain-1", ""), again).metrics == []
