"""Which runtime a candidate's file is checked and scored in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nas.errors import ExportError
from nas.export.seeding import seed_weights
from nas.space.chooser import PositionChooser
from trials.answers import answers_of
from trials.export_page import runtime_lines
from trials.jobs import deploy, train
from trials.plan import Plan, make_plan
from trials.problem import open_problem

NEGATED = "negated_runtime:Negated"


def plan(runtime: str, bits: str) -> Plan:
    return make_plan(
        {
            "task": {"name": "digits", "image_size": 8},
            "space": {"name": "plain_convnet"},
            "policies": [{"name": "precision", "options": [bits]}],
            "estimator": {"name": "training", "epochs": 1},
            "targets": [{"name": "a", "runtime": runtime}, {"name": "b"}],
            "code": [str(Path(__file__).parent)],
        }
    )


def trained_accuracy(runtime: str, folder: Path) -> float:
    problem = open_problem(plan(runtime, "int8"))
    payload: dict[str, Any] = {
        "plan": json.dumps(problem.plan.to_json()),
        "architecture": problem.searched.sample(PositionChooser(0.3)).architecture.to_json(),
        "seed": 0,
        "checkpoint": str(folder / "checkpoint"),
        "artifacts": str(folder / "artifacts"),
        "study": "study",
        "candidate": 0,
    }
    *_, result = train(payload)
    return float(result["metrics"]["accuracy"])


def test_recorded_accuracy_is_that_of_the_first_targets_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.export.onnx._checked", lambda *_: 0.0)  # or no such file would get as far as being scored
    right, negated = (trained_accuracy(name, tmp_path / name[:3]) for name in ("onnxruntime", NEGATED))
    assert right > 0.2
    assert negated < 0.1


def test_a_file_is_checked_in_the_first_targets_runtime(tmp_path: Path) -> None:
    problem = open_problem(plan(NEGATED, "fp32"))
    network = problem.searched.build(problem.searched.sample(PositionChooser(0.3)).architecture, 0)
    seed_weights(network, problem.input_shape(), "seed")
    with pytest.raises(ExportError, match=NEGATED):
        deploy(problem, network, tmp_path / "model.onnx")


def test_every_installed_runtime_is_asked_and_the_targets_comes_first(tmp_path: Path) -> None:
    problem = open_problem(plan("openvino", "fp32"))
    network = problem.searched.build(problem.searched.sample(PositionChooser(0.3)).architecture, 0)
    seed_weights(network, problem.input_shape(), "seed")
    artifact = deploy(problem, network, tmp_path / "model.onnx")
    first, *others = answers_of(problem, network, artifact)
    assert first.runtime == "openvino"
    assert "onnxruntime" in [item.runtime for item in others]
    for item in (first, *others):
        assert item.relative_error is not None
        assert item.relative_error < 1e-4
        assert item.scores.keys() == {"validation", "test"}
        assert item.scores["test"]["accuracy"] == pytest.approx(first.scores["test"]["accuracy"], abs=0.01)


def test_a_runtime_that_can_not_run_the_file_says_why(tmp_path: Path) -> None:
    """Torch on 8 bits: in a few words in the table, in full below it."""
    problem = open_problem(plan("onnxruntime", "int8"))
    network = problem.searched.build(problem.searched.sample(PositionChooser(0.3)).architecture, 0)
    seed_weights(network, problem.input_shape(), "seed")
    answers = answers_of(problem, network, deploy(problem, network, tmp_path / "model.onnx"))
    failed = next(item for item in answers if item.runtime == "torch")
    assert failed.relative_error is None
    assert failed.reason == "op QuantizeLinear has no translation to torch"
    report = {"scores": answers[0].scores, "runtimes": [item.to_json() for item in answers]}
    lines = runtime_lines(report)
    (row,) = [line for line in lines if line.startswith("| torch")]
    assert row.endswith(f" – | {failed.reason} |")
    assert failed.error in lines[lines.index(row) :]
