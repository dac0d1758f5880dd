"""From raw samples to a latency with its 95 % interval.

Two statistics, each where it errs least: minimum ÷ minimum over all visits if a quiet moment of the machine
was among them (the reference came close to its calibrated time, or the visits are spread over several fresh
sessions), else the median over visits of candidate ÷ reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from nas.latency.protocol.samples import Samples

Statistic = Literal["median_ratio", "min_ratio"]

#: Fresh sessions from which on the minima are compared in any case.
ENOUGH_SESSIONS = 3
#: Drift up to which a moment was quiet.
QUIET = 0.05
RESAMPLES = 400
#: Relative standard deviation between sessions of one model (memory layout, code placement). Few sessions
#: can't show it themselves, so no interval is narrower than it implies. Twice what warm bursts show on a shared
#: two-core machine, idle or training.
SESSION_SPREAD = 0.006
#: A disturbance slows no two models alike: per unit of drift, the ratio can be off by so much, up to a bound.
#: They cover 95 % of the errors seen on a shared two-core machine, where the truth was taken from all
#: measurements of a model together.
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
    """The latency samples speak of, given the calibrated time of their reference.

    The interval resamples sessions first and visits second, and allows for what the samples can't show: the
    spread between sessions, and a machine in another state than at calibration.
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
    """Logarithm of the reference's wall time, in the visits that count, over its calibrated one.

    0 where the machine is as it was at calibration, positive where it is slower.
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
    """The statistic of ``RESAMPLES`` resamples."""
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
