"""Common statistics of a measurement's wall times, and signs that the measurement was disturbed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nas.latency.protocol.samples import PREEMPTIONS, PROCESS, WALL, Samples

#: Share of the runs that the trimmed mean leaves out at each end.
TRIM = 0.1
#: Largest shares of pre-empted runs, and of time spent waiting, of an undisturbed measurement.
MAX_PREEMPTED = 0.2
MAX_WAITING = 0.1


class Times(NamedTuple):
    """Wall times of the candidate's runs, milliseconds; unlike the latency, they are not relative to the reference."""

    p50_ms: float
    p90_ms: float
    trimmed_mean_ms: float
    min_ms: float


def times_of(samples: Samples) -> Times:
    """Statistics of the runs that were not pre-empted; of all runs if every run was."""
    runs = samples.candidate_runs()
    kept = runs[WALL, runs[PREEMPTIONS] == 0] if (runs[PREEMPTIONS] == 0).any() else runs[WALL]
    times_ms = np.sort(kept) / 1e6
    cut = int(TRIM * len(times_ms))
    p50, p90 = np.percentile(times_ms, [50, 90])
    mean = times_ms[cut : len(times_ms) - cut].mean()
    return Times(float(p50), float(p90), float(mean), float(times_ms[0]))


def disturbances(samples: Samples) -> list[str]:
    """Signs in the candidate's runs that other work used the core, in words; empty if there are none."""
    runs = samples.candidate_runs()
    preempted = float((runs[PREEMPTIONS] > 0).mean())
    waiting = 1 - float(runs[PROCESS].sum() / runs[WALL].sum())
    found = []
    if preempted > MAX_PREEMPTED:
        found.append(f"{preempted:.0%} of the runs were pre-empted")
    if samples.clock == "process" and waiting > MAX_WAITING:
        found.append(f"runs waited for the processor {waiting:.0%} of their time")
    return found
