"""Calibration by the extreme values."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from nas.quantization import Calibration, Range


class MinMax(Calibration):
    """The range reaches from the lowest to the highest value."""

    onnxruntime_method = "MinMax"

    def __init__(self) -> None:
        self._low, self._high = math.inf, -math.inf

    def add(self, value: Tensor) -> None:
        """See ``Calibration.add``."""
        low, high = torch.aminmax(value)
        # Unlike Python's min, numpy's minimum of NaN and a number is NaN.
        self._low, self._high = float(np.minimum(self._low, float(low))), float(np.maximum(self._high, float(high)))

    def range(self) -> Range:
        """See ``Calibration.range``."""
        return self._low, self._high
