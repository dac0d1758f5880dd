"""Energy of a run, where the processor counts it (RAPL, through the kernel's powercap)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from nas.latency.runtimes import Session

#: Runs are repeated for so long: the counters move once in about a millisecond.
MEASURE_S = 0.1
_ROOT = Path("/sys/class/powercap")
_PACKAGES = "intel-rapl:[0-9]"  # of AMD's processors too


def package_energy_uj(root: Path = _ROOT) -> int | None:
    """Microjoules that all packages have used since some moment; None where this can't be read."""
    try:
        counters = [int((package / "energy_uj").read_text()) for package in sorted(root.glob(_PACKAGES))]
    except (OSError, ValueError):
        return None
    return sum(counters) if counters else None


def energy_mj(session: Session, runs: int, read_uj: Callable[[], int | None]) -> float | None:
    """Millijoules of a run: the whole package's, idle parts included; None where it can't be read.

    Where a counter starts again from zero in between, it is read once more; a counter that does so again gives None.
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
    """Run for ``MEASURE_S``; how many runs that were."""
    until, done = time.monotonic() + MEASURE_S, 0
    while time.monotonic() < until:
        session.burst(runs)
        done += runs
    return done
