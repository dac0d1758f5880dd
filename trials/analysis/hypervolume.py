"""The hypervolume of a set of points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nas.strategies.pareto import Floats, pareto_front, to_losses


def hypervolume(points: Any, directions: Sequence[str], reference: Sequence[float]) -> float:
    """Return the volume that the points dominate and that dominates the reference; exact for any number of objectives.

    Points that are not better than the reference in every objective add nothing.

    Args:
        points: ``(n, m)``, in any order; they may include dominated points.
        directions: ``maximize`` or ``minimize`` for each column.
        reference: ``(m,)``, the worst corner.

    Raises:
        ValueError: shapes do not match, a direction is unknown, a point is NaN, or the reference is not finite.
    """
    corner = to_losses([list(reference)], directions)[0]
    if not np.isfinite(corner).all():
        raise ValueError(f"reference {list(reference)!r}; every coordinate has to be finite")
    losses = to_losses(points, directions)
    losses = losses[(losses < corner).all(axis=1)]
    return _volume(losses, corner)


def _volume(losses: Floats, corner: Floats) -> float:
    """Return the hypervolume of ``(n, m)`` losses, all of them below ``corner``."""
    if not len(losses):
        return 0.0
    front = np.unique(losses[pareto_front(losses, ["minimize"] * losses.shape[1])], axis=0)
    if front.shape[1] == 1:
        return float(corner[0] - front[0, 0])
    if front.shape[1] == 2:
        return _area(front, corner)
    return _slices(front, corner)


def _area(front: Floats, corner: Floats) -> float:
    """Sum rectangles along the first objective; as it grows, the second falls in steps."""
    widths = np.append(front[1:, 0], corner[0]) - front[:, 0]
    return float(np.sum(widths * (corner[1] - front[:, 1])))


def _slices(front: Floats, corner: Floats) -> float:
    """Sum slices along the last objective; between two neighbouring values, the slice has a constant cross-section."""
    front = front[np.argsort(front[:, -1], kind="stable")]
    levels = np.append(front[:, -1], corner[-1])
    heights = np.diff(levels)
    return float(
        sum(
            height * _volume(front[: count + 1, :-1], corner[:-1]) for count, height in enumerate(heights) if height > 0
        )
    )
