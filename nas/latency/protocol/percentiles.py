"""Percentiles of a model's latency, from the raw samples of a measurement.

Each run is divided by the fastest run of the reference in the same visit and multiplied by the reference's calibrated
time, so that percentiles of different measurements can be compared like latencies.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nas.latency.protocol.intervals import SESSION_SPREAD
from nas.latency.protocol.samples import PREEMPTIONS, WALL, Samples, Visit

PERCENTILES = (50, 90, 95, 99)
#: Smallest number of runs above a percentile at which its interval gets an upper end.
MIN_SLOWER = 5
RESAMPLES = 200

Floats = NDArray[np.float64]


class PercentileValue(NamedTuple):
    """One percentile and its 95 % interval, milliseconds."""

    value_ms: float
    low_ms: float
    #: None if too few runs were slower.
    high_ms: float | None


def percentiles(samples: Samples, reference_ms: float, seed: int = 0) -> dict[int, PercentileValue]:
    """Percentiles of all runs that were not pre-empted; of all runs if every run was.

    The interval resamples sessions first and visits second, as consecutive runs are not independent, and allows for
    the spread between sessions.

    Args:
        samples: samples of one measurement, or of several that were pooled.
        reference_ms: calibrated time of their reference, milliseconds.
        seed: seed of the resampling.

    Returns:
        Percentile in percent → its value.
    """
    sessions = _relative(samples, keep_all=False) or _relative(samples, keep_all=True)
    ratios = np.concatenate([visit for session in sessions for visit in session])
    values = np.percentile(ratios, PERCENTILES)
    drawn = np.array([np.percentile(runs, PERCENTILES) for runs in _resampled(sessions, seed)])
    ends = np.percentile(drawn, [2.5, 97.5], axis=0)
    unseen = 1.96 * SESSION_SPREAD / len(sessions) ** 0.5
    below, above = (np.hypot(np.maximum(0.0, seen), unseen) for seen in (1 - ends[0] / values, ends[1] / values - 1))
    return {
        percent: PercentileValue(
            float(values[place]) * reference_ms,
            float(values[place] * max(0.0, 1 - below[place])) * reference_ms,
            float(values[place] * (1 + above[place])) * reference_ms if _has_upper_end(percent, len(ratios)) else None,
        )
        for place, percent in enumerate(PERCENTILES)
    }


def _has_upper_end(percent: int, num_runs: int) -> bool:
    return num_runs * (100 - percent) / 100 >= MIN_SLOWER


def _relative(samples: Samples, *, keep_all: bool) -> list[list[Floats]]:
    """The runs of each visit of each session, relative to the visit's reference; empty visits are left out."""
    sessions = [[_ratios(visit, keep_all) for visit in session] for session in samples.sessions]
    kept = [[visit for visit in session if visit.size] for session in sessions]
    return [session for session in kept if session]


def _ratios(visit: Visit, keep_all: bool) -> Floats:
    runs, reference = (
        burst[WALL] if keep_all else burst[WALL, burst[PREEMPTIONS] == 0]
        for burst in (visit.candidate, visit.reference)
    )
    if not reference.size:
        return np.empty(0)
    return np.asarray(runs / reference.min(), dtype=np.float64)


def _resampled(sessions: list[list[Floats]], seed: int) -> list[Floats]:
    """All runs of each of ``RESAMPLES`` resamples."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(RESAMPLES):
        chosen = [sessions[place] for place in generator.integers(len(sessions), size=len(sessions))]
        visits = [session[place] for session in chosen for place in generator.integers(len(session), size=len(session))]
        found.append(np.concatenate(visits))
    return found
