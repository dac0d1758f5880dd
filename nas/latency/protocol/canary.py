"""The canary: compares a reference model with its calibration and finds out which other processes use the target.

Measured ratios cancel everything that slows a candidate and its reference alike. The canary shows effects that do not
cancel: a clock lower than at calibration changes the relative cost of memory and arithmetic, and a processor quota
slows only models that run for longer than a burst.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nas.latency.machine.neighbours import busiest, processes
from nas.latency.machine.processor import CoreShares, CoreWatch, power_state
from nas.latency.machine.quota import throttled_s
from nas.latency.protocol.measure import Exclusive, burst_runs, warm_up
from nas.latency.protocol.references import choose_rung
from nas.latency.protocol.samples import Clock
from nas.latency.runtimes import Session

#: The canary is the rung nearest to this time: short enough for many runs per window, long for the clock's resolution.
CANARY_MS = 0.25
#: Seconds for which a window keeps the core busy; longer than the period of processor quotas.
WINDOW_S = 0.25
#: Largest number of windows; they are repeated until one is good. Other processes leave some windows undisturbed, a
#: throttled target none.
WINDOWS = 6
#: Share of the measuring core's time above which other processes cause a warning.
BUSY = 0.1
#: Temperature of the processor, degrees Celsius, above which there is a warning.
HOT_C = 85.0


@dataclass(frozen=True)
class Health:
    """The state of a target, compared with its calibration."""

    rung: str
    #: Fastest run of the canary divided by its calibrated time, minus 1: 0.2 is 20 % slower, negative is faster.
    drift: float
    #: Share of the time for which a quota stopped the canary, or the core was idle while the canary should run.
    throttled: float
    #: Circumstances that may affect measurements, in words.
    warnings: tuple[str, ...]
    #: Load, other processes and their share of the core, clock, governor, temperature …, as JSON values.
    state: Mapping[str, Any]

    def problem(self, limit: float) -> str | None:
        """Throttling or slowness beyond ``limit``, in words; None if the target may be measured on."""
        if self.throttled > limit:
            return f"it is throttled: kept from its core {self.throttled:.0%} of the time"
        if self.drift > limit:
            return f"it is {self.drift:.0%} slower than when it was calibrated"
        return None

    def to_json(self) -> dict[str, Any]:
        """JSON values for ``from_json``."""
        return {**asdict(self), "warnings": list(self.warnings)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Health:
        """Read what ``to_json`` wrote."""
        return cls(**{**data, "warnings": tuple(data["warnings"])})


@dataclass(frozen=True)
class CanarySetup:
    """The environment that a canary runs in."""

    open_reference: Callable[[str], Session]
    #: Rung → calibrated milliseconds.
    references: Mapping[str, float]
    exclusive: Exclusive
    clock: Clock
    cores: Sequence[int]


def check(setup: CanarySetup, limit: float, *, windows: int = WINDOWS) -> Health:
    """Run the canary, which takes 0.25 s if the target is as it was calibrated, or faster.

    Args:
        setup: the environment of the canary.
        limit: relative slowness and share of throttling that are acceptable; a window within half of it is good.
        windows: largest number of windows.

    Raises:
        MeasureError: the reference can't be run.
    """
    rung = choose_rung(setup.references, CANARY_MS)
    before = processes()
    started = time.monotonic()
    drift, throttled, others = _best_window(setup, rung, limit, windows)
    least_s = BUSY * (time.monotonic() - started)
    who = busiest(before, processes(), setup.cores, least_s)
    state = {**power_state(setup.cores[0]), "load": os.getloadavg()[0], "others": others, "processes": who}
    warnings = _warnings(state, setup.cores, who) + _faster(drift, limit)
    return Health(rung, drift, throttled, tuple(warnings), state)


def _best_window(setup: CanarySetup, rung: str, limit: float, windows: int) -> tuple[float, float, float | None]:
    """Drift of the fastest window, smallest throttling, and mean share of other processes over all windows."""
    fastest_ns, throttled, shares = float("inf"), 1.0, list[float]()
    for _ in range(windows):
        with setup.exclusive():
            session = setup.open_reference(rung)
            try:
                time_s = warm_up(session, setup.clock)
                window_ns, kept_from, found = _window(session, burst_runs(time_s), setup.cores)
            finally:
                session.close()
        fastest_ns = min(fastest_ns, window_ns)
        throttled = min(throttled, kept_from)
        shares += [found.others] if found else []
        drift = fastest_ns / 1e6 / setup.references[rung] - 1
        if drift <= limit / 2 and throttled <= limit / 2:
            break
    return drift, throttled, sum(shares) / len(shares) if shares else None


def _window(session: Session, runs: int, cores: Sequence[int]) -> tuple[float, float, CoreShares | None]:
    """Run for one window: fastest wall time, nanoseconds; share of time throttled; shares of core time.

    On a busy core, other processes run while a quota stops this one; only the quota's own counter shows that.
    """
    watch, withheld_s, started = CoreWatch(cores), throttled_s(), time.monotonic()
    until = started + WINDOW_S
    fastest = float("inf")
    while time.monotonic() < until:
        fastest = min(fastest, *session.burst(runs).wall_ns)
    withheld = (throttled_s() - withheld_s) / (time.monotonic() - started)
    shares = watch.shares()
    return fastest, max(withheld, shares.idle if shares else 0.0), shares


def _faster(drift: float, limit: float) -> list[str]:
    """Warn of a target that was calibrated in a slower state; to wait would be useless, nothing disturbs it now."""
    if drift >= -limit:
        return []
    return [
        f"it is {-drift:.0%} faster than when it was calibrated, so all its latencies in milliseconds are too high by "
        f"about {1 / (1 + drift) - 1:.0%}; how they compare with each other is not affected"
    ]


def _warnings(state: Mapping[str, Any], cores: Sequence[int], who: Sequence[str]) -> list[str]:
    found = []
    if state["others"] is not None and state["others"] > BUSY:
        names = f": {', '.join(who[:3])}" if who else ""
        found.append(f"others keep core {', '.join(map(str, cores))} busy {state['others']:.0%} of the time{names}")
    count = os.cpu_count() or 1
    if state["load"] > count:
        found.append(f"load {state['load']:.1f} on {count} cores")
    if (state["temperature_c"] or 0.0) > HOT_C:
        found.append(f"the processor is at {state['temperature_c']:.0f} °C")
    if state["governor"] not in (None, "performance"):
        found.append(f"governor {state['governor']}: the clock follows the load")
    if state["on_mains"] is False:
        found.append("on battery")
    return found
