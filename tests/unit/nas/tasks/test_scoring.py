"""Scores have every metric that a task declares."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from nas.errors import TaskError
from nas.tasks import Metric
from nas.tasks.digits import Digits
from nas.tasks.scoring import scores_of

OUTPUTS, TARGETS = np.eye(10), np.arange(10)


class Forgetful(Digits):
    metrics = (Metric("accuracy", "maximize", proportion=True), Metric("balanced_accuracy", "maximize"))

    def score(self, outputs: np.ndarray, targets: np.ndarray) -> Mapping[str, float]:
        return {**super().score(outputs, targets), "balanced": 1.0}


def test_a_declared_metric_that_is_not_scored_is_named() -> None:
    with pytest.raises(TaskError, match=r"score returns accuracy, balanced; return balanced_accuracy too"):
        scores_of(Forgetful(), OUTPUTS, TARGETS)


def test_scores_of_a_task_that_keeps_its_word() -> None:
    assert scores_of(Digits(), OUTPUTS, TARGETS) == {"accuracy": 1.0}
