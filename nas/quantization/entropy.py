"""Calibration by entropy: the range with the smallest Kullback-Leibler divergence."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from nas.errors import PlanError
from nas.quantization import Calibration, Range
from nas.quantization.min_max import MinMax

#: Number of levels on which ranges are compared: the magnitudes of signed 8-bit integers, as in TensorRT.
LEVELS = 128
#: Count given to an empty bin, whose divergence would be infinite otherwise.
_SMALLEST = 1e-4


class Entropy(Calibration):
    """Chooses the range for which the distribution of the integers differs least from that of the values.

    The difference is the Kullback-Leibler divergence (Migacz 2017, "8-bit inference with TensorRT"), computed as in
    ONNX Runtime: there is one histogram around zero, clipped values count at the ends of the range, and the divergence
    of the distribution over 128 levels is computed for every limit t. The range lies within ±t and within the values
    that were seen.

    Args:
        num_bins: number of bins of the histogram: a multiple of 4, at least 256.

    Raises:
        PlanError: ``num_bins`` is another number.
    """

    onnxruntime_method = "Entropy"

    def __init__(self, num_bins: int = 2048) -> None:
        if num_bins < 2 * LEVELS or num_bins % 4:
            raise PlanError(f"calibration: num_bins {num_bins}; allowed: multiples of 4 from {2 * LEVELS}")
        self._counts = np.zeros(num_bins, dtype=np.int64)
        #: The bins cover -limit … limit.
        self._limit = 0.0
        self._seen = MinMax()

    def add(self, value: Tensor) -> None:
        """See ``Calibration.add``."""
        self._seen.add(value)
        array = value.float().cpu().numpy()
        largest = float(np.abs(array).max(initial=0.0))
        if not math.isfinite(largest) or not largest:
            return
        if not self._limit:
            self._limit = largest
        while largest > self._limit:
            self._widen()
        self._counts += np.histogram(array, len(self._counts), range=(-self._limit, self._limit))[0]

    def range(self) -> Range:
        """See ``Calibration.range``."""
        low, high = self._seen.range()
        if not self._counts.any() or not math.isfinite(high - low):
            return low, high
        threshold = least_divergent(self._counts) * 2 * self._limit / len(self._counts)
        return max(low, -threshold), min(high, threshold)

    def _widen(self) -> None:
        """Double the width of the bins by adding up neighbours, which is exact; their number stays the same."""
        pairs = self._counts.reshape(-1, 2).sum(axis=1)
        self._counts = np.pad(pairs, len(pairs) // 2)
        self._limit *= 2


def least_divergent(counts: np.ndarray) -> int:
    """The half width, in bins, of the range with the smallest divergence.

    Args:
        counts: histogram ``(B,)`` centred at zero.
    """
    centre = len(counts) // 2
    widths = range(LEVELS // 2, centre + 1)
    divergences = [_divergence(counts, centre - width, centre + width) for width in widths]
    return widths[int(np.argmin(divergences))]


def _divergence(counts: np.ndarray, first: int, last: int) -> float:
    """Divergence of bins ``first`` … ``last``, with all other values clipped to their ends, from their quantized form.

    The quantized form spreads the counts of each of ``LEVELS`` levels evenly over the level's bins.
    """
    inside = counts[first:last]
    clipped = inside.copy()
    clipped[0] += counts[:first].sum()
    clipped[-1] += counts[last:].sum()
    present = clipped > 0
    merged = len(inside) // LEVELS
    starts = np.arange(LEVELS) * merged
    sums = np.add.reduceat(inside, starts).astype(np.float64)
    occupied = np.add.reduceat(present.astype(np.int64), starts)
    level = np.minimum(np.arange(len(inside)) // merged, LEVELS - 1)
    spread = np.where(present, np.divide(sums, occupied, where=occupied > 0, out=np.zeros_like(sums))[level], 0.0)
    wanted, found = _smooth(clipped.astype(np.float64)), _smooth(spread)
    if wanted is None or found is None:
        return math.inf
    wanted, found = wanted / wanted.sum(), found / found.sum()
    return float(np.sum(wanted * np.log(wanted / found)))


def _smooth(counts: np.ndarray) -> np.ndarray | None:
    """Give empty bins a small count, taken from the others; None if the others don't have enough."""
    empty = counts == 0
    occupied = len(counts) - np.count_nonzero(empty)
    if not occupied:
        return None
    taken = _SMALLEST * (len(counts) - occupied) / occupied
    if taken >= 1.0:
        return None
    return np.where(empty, _SMALLEST, counts - taken)
