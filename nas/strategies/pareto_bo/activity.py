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
        sometimes = np.flatnonzero(~active.all(axis=0))
        flags = active[:, sometimes]
        fewest = np.full(len(sometimes), len(places) + 1)
        rules: dict[int, tuple[int, int, Flags]] = {}
        for other in np.flatnonzero(sizes > 1) if len(sometimes) else ():
            tables = _majority(places[:, other], flags, int(sizes[other]))
            errors = (tables[places[:, other]] != flags).sum(axis=0)
            for place in np.flatnonzero((errors < fewest) & (sometimes != other)).tolist():
                fewest[place] = errors[place]
                rules[place] = int(sometimes[place]), int(other), tables[:, place]
        self._rules = list(rules.values())

    def predict(self, places: Levels) -> Flags:
        """Whether each answer of m networks has an effect, ``(m, d)``."""
        flags = np.ones(places.shape, dtype=np.bool_)
        for question, other, table in self._rules:
            flags[:, question] = table[places[:, other]]
        return flags


def _majority(places: Levels, flags: Flags, size: int) -> Flags:
    """For each option, whether each of q questions had an effect in most networks with it, ``(size, q)``.

    An option that no network has gets the values of the nearest option.
    """
    has = (places[None, :] == np.arange(size)[:, None]).astype(np.float64)
    active, count = has @ flags, has.sum(axis=1)
    seen = np.flatnonzero(count)
    nearest = seen[np.abs(np.arange(size)[:, None] - seen[None, :]).argmin(axis=1)]
    return np.asarray(active[nearest] * 2 >= count[nearest][:, None])
