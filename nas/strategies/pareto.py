"""Pareto fronts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def to_losses(points: Any, directions: Sequence[str]) -> Floats:
    """Convert points to values ``(n, m)`` for which smaller is better in every column.

    Raises:
        ValueError: the numbers of columns and directions differ, a direction is unknown, or a value is NaN.
    """
    unknown = [direction for direction in directions if direction not in ("maximize", "minimize")]
    if unknown:
        raise ValueError(f"direction {unknown[0]!r}; allowed: maximize, minimize")
    values = np.asarray(points, dtype=np.float64)
    if values.size == 0:
        return np.empty((0, len(directions)))
    if values.ndim != 2 or values.shape[1] != len(directions):
        raise ValueError(f"points of shape {values.shape} for {len(directions)} directions; need (n, m)")
    if np.isnan(values).any():
        raise ValueError("a value is NaN; leave out points that were not measured")
    signs = np.array([-1.0 if direction == "maximize" else 1.0 for direction in directions])
    return np.asarray(values * signs)


def pareto_front(points: Any, directions: Sequence[str]) -> npt.NDArray[np.intp]:
    """Indices of the points that no other point dominates, in ascending order; equal points are all kept.

    Args:
        points: values ``(n, m)``.
        directions: ``maximize`` or ``minimize`` for each column.

    Raises:
        ValueError: the numbers of columns and directions differ, a direction is unknown, or a value is NaN.
    """
    losses = to_losses(points, directions)
    if not len(losses):
        return np.empty(0, dtype=np.intp)
    unique, place = np.unique(losses, axis=0, return_inverse=True)
    chosen = _front_of_two(unique) if unique.shape[1] <= 2 else _front(unique)
    return np.flatnonzero(chosen[place.reshape(-1)])


def _front_of_two(losses: Floats) -> npt.NDArray[np.bool_]:
    """Front of distinct rows in lexicographic order, for up to two columns: rows whose last value is a new minimum."""
    last = losses[:, -1]
    if losses.shape[1] == 1:
        return np.asarray(last == last[0])
    best_before = np.concatenate([[np.inf], np.minimum.accumulate(last)[:-1]])
    chosen = last < best_before
    chosen[0] = True
    return np.asarray(chosen)


def _front(losses: Floats) -> npt.NDArray[np.bool_]:
    """Front of distinct rows in lexicographic order, in which no row dominates an earlier one."""
    chosen = np.zeros(len(losses), dtype=np.bool_)
    left = np.arange(len(losses))
    while len(left):
        first = left[0]
        chosen[first] = True
        left = left[(losses[left] < losses[first]).any(axis=1)]
    return chosen
