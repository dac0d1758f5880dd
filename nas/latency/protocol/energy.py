"""Energy of a run, on processors that count it (RAPL, read through Linux's powercap)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from nas.latency.runtimes import Session

#: Seconds for which runs are repeated; the counters are updated about once per millisecond.
MEASURE_S = 0.1
_ROOT = Path("/sys/class/powercap")
_PACKAGES = "intel-rapl:[0-9]"  # the name on AMD processors too


def package_energy_uj(root: Path = _ROOT) -> int | None:
    """Energy that all processor packages used since a fixed moment, microjoules; None where it can't be read."""
    try:
        counters = [int((package / "energy_uj").read_text()) for package in sorted(root.glob(_PACKAGES))]
    except (OSError, ValueError):
        return None
    return sum(counters) if counters else None


def energy_mj(session: Session, runs: int, read_uj: Callable[[], int | None]) -> float | None:
    """Energy of a run, millijoules, of whole packages including idle parts; None where it can't be read.

    If a counter wraps around during the runs, they are repeated once; None if it wraps around again.
    """
    for _ in range(2):
        before = read_uj()
        if before is None:
            return None
        done = _keep_running(session, runs)
        after = read_uj()
        if after is not None and after >= before:
            return (after - before) / 1000 / done
    return None


def _keep_running(session: Session, runs: int) -> int:
    """Run for ``MEASURE_S`` and return the number of runs."""
    until, done = time.monotonic() + MEASURE_S, 0
    while time.monotonic() < until:
        session.burst(runs)
        done += runs
    return done
