"""Results by class: the confusion matrix, and the recall of each class."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

#: Tasks with more classes get no scores by class and no matrix, whose size is the square of the number of classes.
MAX_CLASSES = 100
PREFIX = "recall_of_"
_LONGEST = 80


def recall_names(classes: Sequence[str]) -> tuple[str, ...]:
    """Names of the classes' scores, ``recall_of_<class>``; characters not allowed in metric names become ``_``."""
    if len(classes) > MAX_CLASSES:
        return ()
    plain = [PREFIX + re.sub(r"[^\w.-]+", "_", name)[:_LONGEST] for name in classes]
    return tuple(name if plain.count(name) == 1 else f"{name}_{place}" for place, name in enumerate(plain))


def confusion(outputs: np.ndarray, targets: np.ndarray, count: int) -> np.ndarray:
    """Confusion matrix ``(count, count)``: numbers of examples by true class (rows) and predicted class (columns)."""
    pairs = targets.astype(np.int64) * count + outputs.argmax(axis=1)
    return np.bincount(pairs, minlength=count * count).reshape(count, count)


def recalls(classes: Sequence[str], matrix: np.ndarray) -> dict[str, tuple[float, int]]:
    """Name of a class's score → share of its examples that are correct, and their number; without empty classes."""
    totals = matrix.sum(axis=1)
    return {
        name: (float(matrix[place, place] / totals[place]), int(totals[place]))
        for place, name in enumerate(recall_names(classes))
        if totals[place]
    }


def only_answer(classes: Sequence[str], matrix: np.ndarray) -> str | None:
    """The class that is predicted for every example; None if several classes are predicted."""
    answered = np.flatnonzero(matrix.sum(axis=0))
    return classes[int(answered[0])] if len(answered) == 1 and len(classes) > 1 else None


def as_json(classes: Sequence[str], matrix: np.ndarray) -> Mapping[str, list[object]]:
    """The confusion matrix with the names of its classes, as JSON values."""
    return {"classes": list(classes), "matrix": matrix.tolist()}
