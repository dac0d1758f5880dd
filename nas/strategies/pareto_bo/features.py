"""Features of networks as standardized inputs of a Gaussian process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nas.strategies import OTHER_TARGET

Floats = npt.NDArray[np.float64]


class ScaledFeatures:
    """Features as a table whose columns have mean 0 and standard deviation 1; constant features are left out.

    A network with unknown features gets the mean, 0. Latencies on other targets are left out; see ``OtherTargets``.
    """

    def __init__(self, features: Sequence[Mapping[str, float]]) -> None:
        known = [item for item in features if item]
        self._names = sorted({name for item in known for name in item if not name.startswith(OTHER_TARGET)})
        table = self._table(known)
        spread = table.std(axis=0) if known else np.empty(0)
        self._kept = spread > 1e-9
        self._center, self._spread = (table.mean(axis=0) if known else spread)[self._kept], spread[self._kept]
        self.values = self.scaled(features)

    def scaled(self, features: Sequence[Mapping[str, float]]) -> Floats:
        """Standardized features ``(n, f)``."""
        known = np.array([bool(item) for item in features])[:, None]
        return np.where(known, (self._table(features)[:, self._kept] - self._center) / self._spread, 0.0)

    def _table(self, features: Sequence[Mapping[str, float]]) -> Floats:
        return np.array([[item.get(name, 0.0) for name in self._names] for item in features]).reshape(
            len(features), len(self._names)
        )
