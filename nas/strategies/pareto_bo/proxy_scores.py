"""Scores of zero-cost proxies, in the form that a Gaussian process needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nas.strategies.pareto_bo.ridge import regressed

Floats = npt.NDArray[np.float64]


class ProxyScores:
    """Scores of proxies as columns with mean 0 and standard deviation 1; constant columns are left out.

    A network has no score before it is measured, or if a proxy can't score it; then its answers predict the score.

    Args:
        codes: codes of n networks, ``(n, k)``.
        scores: proxy → score of these networks, as far as known.

    Attributes:
        values: the columns of these networks, ``(n, p)``.
    """

    def __init__(self, codes: Floats, scores: Sequence[Mapping[str, float]]) -> None:
        names = sorted({name for item in scores for name in item})
        columns = [_Column(name, codes, scores) for name in names]
        self._columns = [column for column in columns if column.spread > 0]
        self.values = self.scaled(codes, scores)

    def scaled(self, codes: Floats, scores: Sequence[Mapping[str, float]]) -> Floats:
        """The columns of m networks, ``(m, p)``."""
        columns = [column.scaled(codes, scores) for column in self._columns]
        return np.array(columns, dtype=np.float64).reshape(len(columns), len(scores)).T


class _Column:
    """The scores of one proxy; ``spread`` is 0 if they are constant."""

    def __init__(self, name: str, codes: Floats, scores: Sequence[Mapping[str, float]]) -> None:
        self._name = name
        self._codes = codes[[name in item for item in scores]]
        known = np.array([item[name] for item in scores if name in item])
        self._center, self.spread = float(known.mean()), float(known.std())
        self._known = (known - self._center) / (self.spread or 1.0)

    def scaled(self, codes: Floats, scores: Sequence[Mapping[str, float]]) -> Floats:
        found = np.array([item.get(self._name, np.nan) for item in scores])
        predicted = regressed(self._codes, self._known[:, None], codes)[:, 0]
        return np.where(np.isnan(found), predicted, (found - self._center) / self.spread)
