"""The measuring protocol, written once; it knows no runtime.

Consecutive runs are not independent and machines drift, so a candidate is never timed alone: short bursts of it and
of a reference model alternate over fresh sessions, and what is kept is the ratio. Times a target's calibrated
reference time, that ratio is the latency. ``benchmarks/latency_repeatability.py`` compares this with a plain mean.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from nas.latency.references import choose_rung
from nas.latency.runtimes import Session
from nas.latency.samples import Derived, Samples, Visit, burst_array

PROTOCOL_VERSION = 1
#: A burst takes about so long, within limits on its runs.
BURST_S = 0.002
RUNS = (3, 25)
#: Pause between visits: neighbours in time share their disturbances.
PAUSE_S = 0.004
WARM_UP_S = (0.02, 0.4)
STEADY = 0.03


@dataclass(frozen=True)
class Effort:
    """How much a measurement may take.

    Attributes:
        sessions: fresh sessions at least.
        visits: burst pairs a session.
        precision: relative half width of the interval that is good enough.
        budget_s: seconds after which no further session is opened.
    """

    sessions: int
    visits: int
    precision: float
    budget_s: float

    def within(self, *, precision: float, budget_s: float) -> Effort:
        """The same, with another precision and budget."""
        return replace(self, precision=precision, budget_s=budget_s)


SCREEN = Effort(sessions=1, visits=10, precision=1.0, budget_s=2.0)
REPORT = Effort(sessions=3, visits=12, precision=0.02, budget_s=6.0)
MOST_SESSIONS = 8

Opener = Callable[[], Session]


@dataclass(frozen=True)
class Latency:
    """One measured latency with its 95 % interval and everything it can be derived from again."""

    latency_ms: float
    low_ms: float
    high_ms: float
    peak_memory_bytes: int | None
    #: Surely over the caller's limit; measured no further than needed to know that.
    rejected: bool
    conditions: Mapping[str, Any]
    #: ``Samples.to_bytes``.
    samples: bytes


def measure(
    open_candidate: Opener,
    open_reference: Callable[[str], Session],
    reference_ms: Mapping[str, float],
    *,
    exclusive: Callable[[], AbstractContextManager[float]],
    effort: Effort,
    reject_above_ms: float | None = None,
    statistic: str = "process",
) -> Latency:
    """Measure one candidate.

    Args:
        open_candidate: opens a fresh session of the candidate.
        open_reference: opens a fresh session of a rung of the ladder.
        reference_ms: rung → its calibrated time.
        exclusive: the measuring lock, held around each pair of bursts.
        effort: how much it may take.
        reject_above_ms: stop after a session that shows the latency to be surely above.
        statistic: ``process`` for one thread, ``wall`` for several.
    """
    started = time.monotonic()
    sessions: list[tuple[Visit, ...]] = []
    memory: list[int] = []
    waited = 0.0
    rung = ""
    rejected = False
    while True:
        candidate = open_candidate()
        try:
            time_s = warm_up(candidate)
            rung = rung or choose_rung(dict(reference_ms), time_s * 1e3)
            reference = open_reference(rung)
            try:
                warm_up(reference)
                visits, wait_s = _session(candidate, reference, effort.visits, time_s, exclusive)
            finally:
                reference.close()
        finally:
            candidate.close()
        sessions.append(visits)
        waited += wait_s
        if (peak := candidate.peak_memory_bytes()) is not None:
            memory.append(peak)
        samples = Samples(tuple(sessions), statistic)
        derived = samples.derive()
        if reject_above_ms is not None and derived.low * reference_ms[rung] > reject_above_ms:
            rejected = True
            break
        if _enough(derived, len(sessions), effort, time.monotonic() - started - waited):
            break
    unit = reference_ms[rung]
    return Latency(
        latency_ms=derived.ratio * unit,
        low_ms=derived.low * unit,
        high_ms=derived.high * unit,
        peak_memory_bytes=max(memory) if memory else None,
        rejected=rejected,
        conditions={
            "protocol": PROTOCOL_VERSION,
            "statistic": statistic,
            "reference": rung,
            "reference_ms": unit,
            "ratio": derived.ratio,
            "sessions": len(sessions),
            "visits": sum(map(len, sessions)),
            "runs": samples.num_runs,
            "preempted": samples.num_preempted,
            "seconds": time.monotonic() - started,
            "waited_s": waited,
        },
        samples=samples.to_bytes(),
    )


def warm_up(session: Session) -> float:
    """Run until a burst takes as long as the one before, within bounds of time; seconds of one run."""
    started = time.monotonic()
    before = median(session.burst(RUNS[0]).wall_ns) / 1e9
    while True:
        now = median(session.burst(burst_runs(before)).wall_ns) / 1e9
        spent = time.monotonic() - started
        steady = abs(now - before) <= STEADY * before
        if (steady and spent > WARM_UP_S[0]) or spent > WARM_UP_S[1]:
            return now
        before = now


def burst_runs(time_s: float) -> int:
    """Runs of a burst of a model that takes ``time_s``."""
    return int(min(max(BURST_S / max(time_s, 1e-9), RUNS[0]), RUNS[1]))


def _session(
    candidate: Session,
    reference: Session,
    visits: int,
    time_s: float,
    exclusive: Callable[[], AbstractContextManager[float]],
) -> tuple[tuple[Visit, ...], float]:
    runs = burst_runs(time_s)
    done, waited = [], 0.0
    for _ in range(visits):
        with exclusive() as wait_s:
            bursts = [session.burst(runs) for session in (candidate, reference)]
        waited += wait_s
        done.append(
            Visit(*(burst_array(burst.wall_ns, burst.process_ns, burst.preemptions) for burst in bursts))
        )
        time.sleep(PAUSE_S)
    return tuple(done), waited


def _enough(derived: Derived, sessions: int, effort: Effort, spent_s: float) -> bool:
    if spent_s > effort.budget_s or sessions >= MOST_SESSIONS:
        return True
    return sessions >= effort.sessions and derived.half_width <= effort.precision
