"""Reproducible stratified splits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import train_test_split

from nas.errors import TaskError


def stratified(targets: Sequence[int] | np.ndarray, size: float | int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of two parts with classes in equal proportions; the second has ``size`` items, or that share of them.

    Raises:
        TaskError: a class has too few items to be in both parts.
    """
    indices = np.arange(len(targets))
    try:
        first, second = train_test_split(indices, test_size=size, stratify=np.asarray(targets), random_state=seed)
    except ValueError as error:
        raise TaskError(
            f"{len(indices)} items can't be split by class so that the second part has {_size(size)}: {error}. Every "
            "class needs an item in each part: add items, or change the size of the parts"
        ) from error
    return np.sort(first), np.sort(second)


def _size(size: float | int) -> str:
    return f"{size} item{'s' * (size != 1)}" if isinstance(size, int) else f"{size:.3g} of them"
