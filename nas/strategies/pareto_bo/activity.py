"""Which questions have an effect on a network that was not built: learned from those that were."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Levels = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Activity:
    """For each question that is sometimes without effect, the one other question whose answers tell this best.

    A space of a depth and of slots up to the largest depth has such a question for each slot. Where several decide
    together the prediction may err: a network is built before it is proposed.

    Args:
        places: ``(n, d)`` places of all answers of networks that were built.
        active: ``(n, d)`` whether each had an effect.
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
        """``(m, d)``: whether each answer of m networks has an effect."""
        flags = np.ones(places.shape, dtype=np.bool_)
        for question, other, table in self._rules:
            flags[:, question] = table[places[:, other]]
        return flags


def _majority(places: Levels, flags: Flags, size: int) -> Flags:
    """For each option whether the question had an effect in most networks; as next to it where none had the option."""
    active = np.bincount(places, weights=flags, minlength=size)
    count = np.bincount(places, minlength=size)
    seen = np.flatnonzero(count)
    nearest = seen[np.abs(np.arange(size)[:, None] - seen[None, :]).argmin(axis=1)]
    return np.asarray(active[nearest] * 2 >= count[nearest])
