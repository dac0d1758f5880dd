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

    A counter that starts again from zero in between gives None as well.
    """
    before = read_uj()
    if before is None:
        return None
    until, done = time.monotonic() + MEASURE_S, 0
    while time.monotonic() < until:
        session.burst(runs)
        done += runs
    after = read_uj()
    return None if after is None or after < before else (after - before) / 1000 / done
