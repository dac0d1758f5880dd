"""The scores of a task, with every metric that it declares."""

from __future__ import annotations

import numpy as np

from nas.errors import TaskError
from nas.tasks import Task


def scores_of(task: Task, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """The scores that ``task.score`` gives to all outputs of a split.

    Args:
        task: a shipped one, or one of the user's own.
        outputs: ``(M, ...)`` outputs of a network.
        targets: ``(M, ...)`` targets of the same examples.

    Raises:
        TaskError: a metric is missing that the task declares.
    """
    found = dict(task.score(outputs, targets))
    if missing := [metric.name for metric in task.metrics if metric.name not in found]:
        raise TaskError(
            f"task {type(task).__name__} declares the metrics {', '.join(metric.name for metric in task.metrics)}, but "
            f"its score returns {', '.join(found) or 'nothing'}; return {', '.join(missing)} too, or do not declare it"
        )
    return found
