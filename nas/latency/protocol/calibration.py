"""Calibration: times each reference model on a target, once, when the target is added."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from nas.latency.protocol.measure import Exclusive, burst_runs, warm_up
from nas.latency.protocol.samples import Clock
from nas.latency.runtimes import Burst, Session

#: Seconds for all passes together. Each pass opens fresh sessions of all models.
BUDGET_S = 4.5
PASSES = 3
#: If the passes so far took longer, no further pass is made (some runtimes start a program for each burst).
LONGEST_PASS_S = 15.0
#: Seconds per run; slower rungs are not calibrated here but timed when a candidate needs them.
SLOWEST_S = 0.05
#: Rungs slower than ``SLOW_S`` seconds per run take part only in every ``SELDOM``-th round.
SLOW_S = 0.004
SELDOM = 5


def calibrate(
    rungs: Sequence[str], open_reference: Callable[[str], Session], exclusive: Exclusive, clock: Clock
) -> dict[str, float]:
    """Fastest wall time of each rung, milliseconds; rungs slower than ``SLOWEST_S`` are left out.

    All rungs are visited in turn, again and again, so that a disturbance affects all of them and their times stay
    comparable.

    Args:
        rungs: names of the rungs, from the fastest to the slowest.
        open_reference: opens a fresh session of a rung.
        exclusive: the measuring lock.
        clock: the clock that warm-up uses.
    """
    fastest: dict[str, float] = {}
    started = time.monotonic()
    for number in range(PASSES):
        if number and time.monotonic() - started > LONGEST_PASS_S:
            break
        with ExitStack() as opened:
            sessions: dict[str, tuple[Session, float]] = {}
            for rung in rungs if number == 0 else list(fastest):
                with exclusive():
                    session = open_reference(rung)
                    opened.callback(session.close)
                    time_s = warm_up(session, clock)
                if fastest and time_s > SLOWEST_S and number == 0:
                    break
                sessions[rung] = session, time_s
                fastest.setdefault(rung, float("inf"))
            _rounds(sessions, fastest, exclusive, started + BUDGET_S * (number + 1) / PASSES)
    return {rung: time_ns / 1e6 for rung, time_ns in fastest.items()}


def _rounds(
    sessions: dict[str, tuple[Session, float]],
    fastest: dict[str, float],
    exclusive: Exclusive,
    deadline: float,
) -> None:
    """Visit all sessions until the deadline, at least once, and lower ``fastest`` (nanoseconds)."""
    number = 0
    while number == 0 or time.monotonic() < deadline:
        for rung, (session, time_s) in sessions.items():
            if time_s > SLOW_S and number % SELDOM:
                continue
            with exclusive():
                burst = session.burst(burst_runs(time_s))
            fastest[rung] = min(fastest[rung], *_undisturbed(burst))
        number += 1


def _undisturbed(burst: Burst) -> Sequence[int]:
    """Wall times of the runs that were not pre-empted, nanoseconds; of all runs if every run was."""
    preemptions = burst.preemptions or (0,) * len(burst.wall_ns)
    pairs = zip(burst.wall_ns, preemptions)  # noqa: B905 — Python 3.9, on devices, has no strict
    return [wall for wall, switches in pairs if not switches] or burst.wall_ns
