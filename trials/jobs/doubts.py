"""Warnings after a training: constant answers, too few steps, a loss that never fell, missing ops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.estimators import Epoch
from nas.tasks.per_class import only_answer

#: After fewer optimiser steps than this, a network has hardly changed from its random start.
FEW_STEPS = 50


def doubts(
    epochs: Sequence[Epoch],
    steps: int | None,
    classes: Sequence[str] = (),
    matrix: np.ndarray | None = None,
    *,
    starts_trained: bool = False,
    uncovered: Sequence[str] = (),
) -> list[str]:
    """Return warnings about one training.

    Args:
        epochs: recorded epochs.
        steps: number of optimiser steps; None if unknown.
        classes: names of the classes.
        matrix: confusion of the classes on the validation split.
        starts_trained: the network starts from given weights, so few steps are enough and its loss may be at its lowest
            in the first epoch.
        uncovered: kinds of nodes that no op covers, so that torch's exporter wrote the file.
    """
    found = []
    answer = None if matrix is None else only_answer(classes, matrix)
    if answer is not None and matrix is not None:
        found.append(f"answers {answer!r} to all {int(matrix.sum())} validation examples")
    losses = [epoch.values["train_loss"] for epoch in epochs if "train_loss" in epoch.values]
    if not starts_trained:
        if len(losses) > 1 and min(losses[1:]) >= losses[0]:
            found.append(f"its training loss never fell below that of the first epoch, {losses[0]:.4g}")
        if few := few_steps(steps):
            found.append(few)
    if uncovered:
        found.append(f"no op for {', '.join(uncovered)}: torch's exporter wrote the file")
    return found


def few_steps(steps: int | None) -> str:
    """Return a warning if there are too few optimiser steps; empty if there are enough, or their number is unknown."""
    if steps is None or steps >= FEW_STEPS:
        return ""
    return f"trained for {steps} optimiser steps only"
