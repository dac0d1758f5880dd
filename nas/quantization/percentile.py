"""Calibration by percentiles, which cuts both tails."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from nas.errors import PlanError
from nas.quantization import Calibration, Range
from nas.quantization.min_max import MinMax

PERCENTILE = 99.9


class Percentile(Calibration):
    """The range leaves out the lowest and the highest values.

    The percentiles are taken of each batch and averaged over the batches.

    Args:
        percentile: 99.9 leaves out a thousandth of the values at each end.

    Raises:
        PlanError: ``percentile`` is outside (50, 100].
    """

    onnxruntime_method = "Percentile"

    def __init__(self, percentile: float = PERCENTILE) -> None:
        if not 50.0 < percentile <= 100.0:
            raise PlanError(f"calibration: percentile {percentile}; allowed: above 50, up to 100")
        self._tails = [100.0 - percentile, percentile]
        self._found: list[np.ndarray] = []
        self._seen = MinMax()

    def add(self, value: Tensor) -> None:
        """See ``Calibration.add``."""
        self._seen.add(value)
        self._found.append(np.percentile(value.float().cpu().numpy(), self._tails))

    def range(self) -> Range:
        """See ``Calibration.range``."""
        seen = self._seen.range()
        if not np.isfinite(seen).all():
            return seen
        low, high = np.mean(self._found, axis=0)
        return float(low), float(high)
