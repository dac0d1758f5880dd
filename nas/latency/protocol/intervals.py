"""From raw samples to a latency with its 95 % interval.

There are two statistics. If the machine probably had a quiet moment (the reference came close to its calibrated time,
or the visits are spread over several fresh sessions), the latency is the candidate's minimum over all visits divided by
the reference's minimum. Otherwise it is the median over visits of candidate ÷ reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from nas.latency.protocol.samples import Samples

Statistic = Literal["median_ratio", "min_ratio"]

#: Number of fresh sessions from which on the minima are always used.
ENOUGH_SESSIONS = 3
#: Largest drift of the reference at which the machine counts as quiet.
QUIET = 0.05
RESAMPLES = 400
#: Relative standard deviation between sessions of one model, caused by memory layout and code placement. A few sessions
#: can't show it themselves, so no interval is narrower than this implies. The value is twice the spread of warm bursts
#: on a shared two-core machine, idle or training.
SESSION_SPREAD = 0.006
#: A disturbance slows two models differently: this is the relative error of the ratio per unit of drift, and its bound.
#: They cover 95 % of the errors on a shared two-core machine, relative to all measurements of a model together.
DRIFT_SENSITIVITY = 0.5
DRIFT_BOUND = 0.13


class Derived(NamedTuple):
    """A latency and its 95 % interval, milliseconds."""

    latency_ms: float
    low_ms: float
    high_ms: float

    @property
    def half_width(self) -> float:
        """Half of the interval, relative to the latency."""
        return (self.high_ms - self.low_ms) / 2 / self.latency_ms


def derive(samples: Samples, reference_ms: float, seed: int = 0) -> Derived:
    """The latency that follows from samples and the calibrated time of their reference.

    The interval comes from resampling sessions first and visits second. It is widened for two effects that samples
    can't show: the spread between sessions, and a machine in another state than at calibration.
    """
    sessions = samples.fastest()
    statistic = statistic_of(samples, reference_ms)
    ratio = float(_ratio(np.concatenate(sessions)[None], statistic)[0])
    low, high = np.percentile(_resampled(sessions, statistic, seed), [2.5, 97.5])
    drift = abs(reference_drift(samples, reference_ms, statistic))
    unseen = np.hypot(1.96 * SESSION_SPREAD / len(sessions) ** 0.5, min(DRIFT_SENSITIVITY * drift, DRIFT_BOUND))
    below, above = (float(np.hypot(max(0.0, seen), unseen)) for seen in (1 - low / ratio, high / ratio - 1))
    latency_ms = ratio * reference_ms
    return Derived(latency_ms, latency_ms * max(0.0, 1 - below), latency_ms * (1 + above))


def statistic_of(samples: Samples, reference_ms: float) -> Statistic:
    """The statistic that ``derive`` uses."""
    quiet = reference_drift(samples, reference_ms, "min_ratio") <= QUIET
    return "min_ratio" if quiet or len(samples.fastest()) >= ENOUGH_SESSIONS else "median_ratio"


def reference_drift(samples: Samples, reference_ms: float, statistic: Statistic) -> float:
    """Logarithm of the reference's measured wall time (minimum or median of visits) over its calibrated time.

    It is 0 if the machine is as fast as at calibration, and positive if it is slower.
    """
    times_ns = np.concatenate(samples.fastest("wall"))[:, 1]
    time_ns = times_ns.min() if statistic == "min_ratio" else np.median(times_ns)
    return float(np.log(time_ns / 1e6 / reference_ms))


def _ratio(visits: np.ndarray, statistic: Statistic) -> np.ndarray:
    """The statistic of each resample: ``(R, visits, 2)`` → ``(R,)``; NaN visits do not count."""
    if statistic == "min_ratio":
        fastest = np.nanmin(visits, axis=1)
        return np.asarray(fastest[:, 0] / fastest[:, 1])
    return np.asarray(np.nanmedian(visits[..., 0] / visits[..., 1], axis=1))


def _resampled(sessions: Sequence[np.ndarray], statistic: Statistic, seed: int) -> np.ndarray:
    """The statistic of each of ``RESAMPLES`` resamples, ``(RESAMPLES,)``."""
    generator = np.random.default_rng(seed)
    counts = np.array([len(session) for session in sessions])
    longest = int(counts.max())
    padded = np.full((len(sessions), longest, 2), np.nan)
    for place, session in enumerate(sessions):
        padded[place, : len(session)] = session
    drawn = generator.integers(len(sessions), size=(RESAMPLES, len(sessions)))
    chosen = counts[drawn][..., None]
    visit = (generator.random((RESAMPLES, len(sessions), longest)) * chosen).astype(int)
    visits = padded[drawn[..., None], visit]
    visits[np.arange(longest) >= chosen] = np.nan
    return _ratio(visits.reshape(RESAMPLES, -1, 2), statistic)
