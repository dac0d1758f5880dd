"""How the classes of a task are told apart: a confusion matrix, and the share that is right of each class."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

#: Tasks with more classes have no scores and no matrix of their classes: they grow with the square of the number.
MAX_CLASSES = 100
PREFIX = "recall_of_"
_LONGEST = 80


def recall_names(classes: Sequence[str]) -> tuple[str, ...]:
    """Names of the classes' scores, ``recall_of_<class>``; what a metric's name may not hold becomes ``_``."""
    if len(classes) > MAX_CLASSES:
        return ()
    plain = [PREFIX + re.sub(r"[^\w.-]+", "_", name)[:_LONGEST] for name in classes]
    return tuple(name if plain.count(name) == 1 else f"{name}_{place}" for place, name in enumerate(plain))


def confusion(outputs: np.ndarray, targets: np.ndarray, count: int) -> np.ndarray:
    """``(count, count)``: examples of each class (rows) by the class that ``outputs`` answer (columns)."""
    pairs = targets.astype(np.int64) * count + outputs.argmax(axis=1)
    return np.bincount(pairs, minlength=count * count).reshape(count, count)


def recalls(classes: Sequence[str], matrix: np.ndarray) -> dict[str, tuple[float, int]]:
    """Name of a class's score → share of its examples that is right, and their number; without empty classes."""
    totals = matrix.sum(axis=1)
    return {
        name: (float(matrix[place, place] / totals[place]), int(totals[place]))
        for place, name in enumerate(recall_names(classes))
        if totals[place]
    }


def only_answer(classes: Sequence[str], matrix: np.ndarray) -> str | None:
    """The class that is answered for every example, where it is always the same one."""
    answered = np.flatnonzero(matrix.sum(axis=0))
    return classes[int(answered[0])] if len(answered) == 1 and len(classes) > 1 else None


def as_json(classes: Sequence[str], matrix: np.ndarray) -> Mapping[str, list[object]]:
    """As JSON values."""
    return {"classes": list(classes), "matrix": matrix.tolist()}
