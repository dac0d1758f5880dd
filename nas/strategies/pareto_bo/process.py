"""A Gaussian process for one quantity of networks, in the units of that quantity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas.strategies import Observation
from nas.strategies.pareto_bo.gain import Beliefs
from nas.strategies.pareto_bo.gaussian_process import Inputs, Posterior
from nas.strategies.pareto_bo.trend import Trend

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
#: Standard deviations between the mean and an end of a 95 % interval.
_HALF_WIDTH = 1.96
#: Smallest standard deviation of a measured value, relative and absolute.
_EXACT = 1e-9


@dataclass(frozen=True)
class Networks:
    """What is known of n networks: inputs of processes, and what s earlier studies predict of m objectives.

    ``expected`` has the shape ``(n, s, m)``.
    """

    inputs: Inputs
    expected: Floats

    def take(self, rows: Rows) -> Networks:
        """The networks in ``rows`` only."""
        return Networks(self.inputs.take(rows), self.expected[rows])


@dataclass(frozen=True)
class Process:
    """A Gaussian process for the deviation of one quantity, or of ``log(quantity + shift)``, from its trend."""

    posterior: Posterior
    mean: float
    scale: float
    shift: float | None
    trend: Trend

    def predict(self, networks: Networks) -> tuple[Floats, Floats]:
        """Means ``(n,)`` and standard deviations ``(n,)``, of the logarithm if there is a ``shift``."""
        mean, spread = self.posterior.predict(networks.inputs)
        return self.mean + self.scale * mean + self.trend.of(networks.expected), self.scale * spread

    def intervals(self, networks: Networks) -> Floats:
        """Medians of n networks, and both ends of the intervals that contain 95 % of measured values, ``(n, 3)``."""
        mean, spread = self.predict(networks)
        half = _HALF_WIDTH * np.sqrt(spread**2 + self.scale**2 * self.posterior.noise)
        found = np.stack([mean, mean - half, mean + half], axis=1)
        return found if self.shift is None else np.maximum(np.exp(found) - self.shift, 0.0)

    def beliefs(self, networks: Networks, name: str, direction: str, measured: Sequence[Observation]) -> Beliefs:
        """Beliefs about the objective ``name`` of n networks; ``measured`` is empty or has their measured values."""
        mean, spread = self.predict(networks)
        for place, item in enumerate(measured):
            if math.isfinite(value := item.values.get(name, math.nan)):
                noise = max(item.spreads.get(name, 0.0), _EXACT * abs(value), _EXACT)
                if self.shift is None:
                    mean[place], spread[place] = value, noise
                elif value + self.shift > 0:
                    mean[place], spread[place] = math.log(value + self.shift), noise / (value + self.shift)
        return Beliefs(mean, spread, direction, self.shift)
