from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_model

from nas.estimators import Epoch
from nas.estimators.sparse_then_quantize import SparseThenQuantize
from nas.estimators.training import Training
from nas.tasks.digits import Digits
from nas.tasks.per_class import MAX_CLASSES, confusion, only_answer, recall_names, recalls
from search_spaces.module import three_layers
from trials.jobs.doubts import FEW_STEPS, doubts, few_steps
from trials.plans.plan import make_plan
from trials.plans.problem import open_problem

CLASSES = ("cat", "dog", "hen")


def matrix(*answers: int) -> np.ndarray:
    """The confusion matrix of six examples, two of each class."""
    return confusion(np.eye(3)[list(answers)], np.array([0, 0, 1, 1, 2, 2]), 3)


def curve(*losses: float) -> list[Epoch]:
    return [Epoch(number, {"train_loss": loss}) for number, loss in enumerate(losses)]


def test_classes_are_counted() -> None:
    found = matrix(0, 1, 1, 1, 2, 0)
    assert found.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 1]]
    assert recalls(CLASSES, found) == {"recall_of_cat": (0.5, 2), "recall_of_dog": (1.0, 2), "recall_of_hen": (0.5, 2)}
    assert only_answer(CLASSES, found) is None


def test_names_fit_a_metric() -> None:
    assert recall_names(["a b", "a@b", "猫", "x" * 300]) == (
        "recall_of_a_b_0",
        "recall_of_a_b_1",
        "recall_of_猫",
        f"recall_of_{'x' * 80}",
    )
    assert recall_names([str(number) for number in range(MAX_CLASSES + 1)]) == ()


@pytest.mark.parametrize(
    ("answers", "losses", "steps", "found"),
    [
        ((1, 1, 1, 1, 1, 1), (2.0, 1.0), 500, ["answers 'dog' to all 6 validation examples"]),
        ((0, 0, 1, 1, 2, 2), (1.0, 1.2, 1.0), 500, ["its training loss never fell below that of the first epoch, 1"]),
        ((0, 0, 1, 1, 2, 2), (1.0, 1.2, 0.9), 12, ["trained for 12 optimiser steps only"]),
        ((0, 0, 1, 1, 2, 2), (1.0,), FEW_STEPS, []),
        ((0, 0, 1, 1, 2, 2), (1.0, 0.5), None, []),
    ],
)
def test_doubts(answers: tuple[int, ...], losses: tuple[float, ...], steps: int | None, found: list[str]) -> None:
    assert doubts(curve(*losses), steps, CLASSES, matrix(*answers)) == found


def test_a_file_of_torchs_exporter_is_told() -> None:
    assert doubts(curve(1.0, 0.5), 500, uncovered=["MySin", "cumsum"]) == [
        "no op for MySin, cumsum: torch's exporter wrote the file"
    ]


def test_given_weights_may_have_their_lowest_loss_at_once_and_need_few_steps(tmp_path: Path) -> None:
    assert doubts(curve(1.0, 1.2), 12, starts_trained=True) == []
    save_model(three_layers(num_classes=10, in_chans=1), str(tmp_path / "w.safetensors"))
    space = {"name": "module", "factory": "search_spaces.module:three_layers"}
    for weights, trained in (({}, False), ({"weights": str(tmp_path / "w.safetensors")}, True)):
        plan = {"task": {"name": "digits", "image_size": 8}, "space": {**space, "freeze": ["0.*"], **weights}}
        assert open_problem(make_plan(plan)).starts_trained is trained


def test_steps_of_estimators() -> None:
    task = Digits(image_size=8)
    assert Training(epochs=3, batch_size=100).num_steps(task) == 30
    assert SparseThenQuantize(training={"batch_size": 100}).num_steps(task) == 180
    assert few_steps(30)
