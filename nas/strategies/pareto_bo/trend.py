"""Weighs expectations of earlier studies by how well they predict the results of the present one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
#: Smallest number of results that a correlation is computed from.
_FEWEST = 4
#: Number of standard errors that a correlation is lowered by, so that chance does not mislead.
_ERRORS = 2.0


@dataclass(frozen=True)
class Trend:
    """The mean of a process before it sees any result: a weighted sum of the expectations of s studies.

    Attributes:
        place: index of the objective among the m expectations.
        weights: one weight per earlier study ``(s,)``; all 0 if none is of use.
    """

    place: int
    weights: Floats

    def of(self, expected: Floats) -> Floats:
        """Means ``(n,)`` of n networks with the expectations ``expected`` ``(n, s, m)``."""
        return np.asarray(expected[:, :, self.place] @ self.weights)


def fit_trend(expected: Floats, place: int, y: Floats) -> Trend:
    """The trend of the results ``y`` ``(n,)`` of n networks with expectations ``(n, s, m)``.

    An earlier study counts by the square of the ``cautious_correlation`` of its expectations with the results, so that
    one that does not predict them has the weight 0. The weighted mean of the expectations is scaled to the results by
    its own cautious correlation: as long as there is little evidence, it has little influence.
    """
    columns = expected[:, :, place]
    shares = np.array([cautious_correlation(column, y) ** 2 for column in columns.T])
    if not shares.any():
        return Trend(place, np.zeros(columns.shape[1]))
    spreads = np.where(shares > 0, columns.std(axis=0), 1.0)
    weights = shares / shares.sum() / spreads
    combined = columns @ weights
    return Trend(place, weights * cautious_correlation(combined, y) * float(y.std()) / float(combined.std()))


def cautious_correlation(first: Floats, second: Floats) -> float:
    """The correlation of two quantities ``(n,)`` less two standard errors, at least 0; 0 for too few values."""
    if len(first) < _FEWEST or not (first.std() > 0 and second.std() > 0):
        return 0.0
    correlation = float(np.clip(np.corrcoef(first, second)[0, 1], -0.999, 0.999))
    return max(0.0, float(np.tanh(np.arctanh(correlation) - _ERRORS / np.sqrt(len(first) - 3))))
