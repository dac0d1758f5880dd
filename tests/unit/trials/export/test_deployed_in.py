"""The runtime in which a candidate's file is checked and scored."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from nas.errors import PlanError
from nas.export.seeding import seed_weights
from nas.space.chooser import PositionChooser
from trials.export.answers import Answers, answers_of
from trials.export.page import Table, runtime_table
from trials.jobs.candidate import deploy
from trials.plans.plan import Plan, make_plan
from trials.plans.problem import Problem, open_problem

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


def test_a_file_is_checked_in_the_first_targets_runtime() -> None:
    with pytest.raises(PlanError, match=NEGATED):
        open_problem(plan(NEGATED, "fp32"))


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


def test_a_runtime_without_the_networks_precision_is_not_tried(tmp_path: Path) -> None:
    problem = open_problem(plan("onnxruntime", "int8"))
    answers, table = answered(problem, tmp_path)
    skipped = next(item for item in answers if item.runtime == "torch")
    assert skipped.relative_error is None
    (row,) = [row for row in table.rows if "int8" in row[-1]]
    assert row[0].startswith("torch")
    assert row[1:] == ["–", "–", "not run: it has no int8"]


def test_a_runtime_that_can_not_run_the_file_says_why(tmp_path: Path) -> None:
    """The reason is short in the table and complete below it, without the name of the temporary folder."""
    answers, table = answered(open_problem(plan("onnxruntime", "fp32")), tmp_path, opset=12)
    failed = next(item for item in answers if item.runtime == "torch")
    (row,) = [row for row in table.rows if row[0].startswith("torch")]
    assert row[-1] == failed.reason
    assert "opset 12" in failed.reason
    assert failed.error in table.notes
    assert "model.onnx" in failed.error
    assert str(tmp_path) not in failed.error


def answered(problem: Problem, folder: Path, opset: int | None = None) -> tuple[list[Answers], Table]:
    """The answers of a network's file, and the table on its page; the file has another opset if one is given."""
    network = problem.searched.build(problem.searched.sample(PositionChooser(0.3)).architecture, 0)
    seed_weights(network, problem.input_shape(), "seed")
    artifact = deploy(problem, network, folder / "model.onnx")
    if opset is not None:
        model = onnx.load(str(artifact.path))
        model.opset_import[0].version = opset
        onnx.save(model, str(artifact.path))
    answers = answers_of(problem, network, artifact)
    report = {"scores": answers[0].scores, "runtimes": [item.to_json() for item in answers]}
    return answers, runtime_table(report)
