"""Predicts which questions have an effect on a network that was not built, from networks that were built."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Levels = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Activity:
    """For each question that sometimes has no effect, finds the other question whose answers predict this best.

    In a space with a depth and a slot for each possible layer, for example, the depth predicts the effect of each
    slot's questions. If several questions decide together, the prediction may be wrong; this is harmless, because
    networks are built before they are proposed.

    Args:
        places: ``(n, d)`` indices of all answers of networks that were built.
        active: ``(n, d)`` whether each answer had an effect.
        sizes: ``(d,)`` numbers of options.
    """

    def __init__(self, places: Levels, active: Flags, sizes: Levels) -> None:
        self._rules: list[tuple[int, int, Flags]] = []
        for question in np.flatnonzero(~active.all(axis=0)):
            flags = active[:, question]
            tables = {
                other: _majority(places[:, other], flags, int(sizes[other]))
                for other in range(len(sizes))
                if other != question and sizes[other] > 1
            }
            errors = {other: int((table[places[:, other]] != flags).sum()) for other, table in tables.items()}
            if errors:
                best = min(errors, key=lambda other: errors[other])
                self._rules.append((int(question), best, tables[best]))

    def predict(self, places: Levels) -> Flags:
        """Whether each answer of m networks has an effect, ``(m, d)``."""
        flags = np.ones(places.shape, dtype=np.bool_)
        for question, other, table in self._rules:
            flags[:, question] = table[places[:, other]]
        return flags


def _majority(places: Levels, flags: Flags, size: int) -> Flags:
    """For each option, whether the question had an effect in most networks with it.

    An option that no network has gets the value of the nearest option.
    """
    active = np.bincount(places, weights=flags, minlength=size)
    count = np.bincount(places, minlength=size)
    seen = np.flatnonzero(count)
    nearest = seen[np.abs(np.arange(size)[:, None] - seen[None, :]).argmin(axis=1)]
    return np.asarray(active[nearest] * 2 >= count[nearest])
