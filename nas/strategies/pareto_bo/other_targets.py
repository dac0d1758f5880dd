"""Known latencies of networks on other targets, in the form that a Gaussian process needs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nas.strategies import OTHER_TARGET

Floats = npt.NDArray[np.float64]


class OtherTargets:
    """Latencies on other targets as columns with mean 0 and standard deviation 1 of ``log(latency + median)``.

    A network whose latency on a target is not known gets the mean, 0. Constant columns are left out.

    Args:
        features: features of n networks; those whose names start with ``OTHER_TARGET`` are latencies in milliseconds.

    Attributes:
        values: the columns of these networks, ``(n, p)``.
    """

    def __init__(self, features: Sequence[Mapping[str, float]]) -> None:
        names = sorted({name for item in features for name in item if name.startswith(OTHER_TARGET)})
        self._columns = [column for name in names if (column := _Column(name, features)).spread > 0]
        self.values = self.scaled(features)

    def scaled(self, features: Sequence[Mapping[str, float]]) -> Floats:
        """The columns of m networks, ``(m, p)``."""
        columns = [column.scaled(features) for column in self._columns]
        return np.array(columns, dtype=np.float64).reshape(len(columns), len(features)).T


class _Column:
    """The latencies on one other target; ``spread`` is 0 if they are constant."""

    def __init__(self, name: str, features: Sequence[Mapping[str, float]]) -> None:
        self._name = name
        known = np.array([item[name] for item in features if name in item])
        self._shift = float(np.median(known))
        logs = np.log(known + self._shift)
        self._center, self.spread = float(logs.mean()), float(logs.std())

    def scaled(self, features: Sequence[Mapping[str, float]]) -> list[float]:
        return [
            (math.log(item[self._name] + self._shift) - self._center) / self.spread if self._name in item else 0.0
            for item in features
        ]
