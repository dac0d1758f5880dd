"""The measuring protocol, the same for all runtimes.

Consecutive runs are not independent and machines drift, so a candidate is never timed alone. Short bursts of the
candidate and of a reference model alternate in several fresh sessions, which gives the ratio of their times. The
latency is this ratio times the calibrated time of the reference. ``benchmarks/rank_stability.py`` compares this
protocol with common ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

from nas.errors import MeasureError
from nas.latency.protocol.energy import energy_mj
from nas.latency.protocol.intervals import Derived, derive, reference_drift, statistic_of
from nas.latency.protocol.references import choose_rung
from nas.latency.protocol.samples import Clock, Samples, Visit, burst_array
from nas.latency.runtimes import Burst, Session

__all__ = ["REPORT", "SCREEN", "Effort", "Latency", "Samples", "Visit", "derive", "measure"]

PROTOCOL_VERSION = 3
#: Approximate duration of a burst, seconds, and bounds on its number of runs. The first run of a burst finds the caches
#: full of other data; later runs don't.
BURST_S = 0.008
RUNS = (2, 25)
#: Pause between visits, seconds: adjacent visits share their disturbances, and other measurements get their turn.
PAUSE_S = 0.01
#: Shortest and longest warm-up, seconds; it ends when consecutive bursts differ by at most ``STEADY``.
WARM_UP_S = (0.015, 0.4)
STEADY = 0.03
#: Smallest number of visits in a session, also of a slow model.
MIN_VISITS = 3
#: A model is opened ``LOADS`` times in all to time loading: the smallest number whose extremes are a 95 % interval of
#: the median. Openings that only serve this purpose take about ``LOADS_S`` seconds at most.
LOADS = 6
LOADS_S = 0.3


@dataclass(frozen=True)
class Effort:
    """How much a measurement may take.

    Attributes:
        sessions: smallest number of fresh sessions.
        max_sessions: largest number of fresh sessions.
        visits: pairs of bursts per session.
        precision: relative half width of the interval at which the measurement ends.
        budget_s: seconds, without lock waits, beyond which no further session starts.
    """

    sessions: int
    max_sessions: int
    visits: int
    precision: float
    budget_s: float

    def __post_init__(self) -> None:
        if not (1 <= self.sessions <= self.max_sessions and self.visits >= 1):
            raise MeasureError(
                f"an effort has sessions={self.sessions}, max_sessions={self.max_sessions}, visits={self.visits}; it "
                "needs 1 ≤ sessions ≤ max_sessions and visits ≥ 1"
            )
        if not (self.precision > 0 and self.budget_s > 0):
            raise MeasureError(
                f"an effort has precision={self.precision:g}, budget_s={self.budget_s:g}; both must be positive"
            )

    def within(self, *, precision: float, budget_s: float) -> Effort:
        """This effort with another precision and budget."""
        return replace(self, precision=precision, budget_s=budget_s)


#: Effort that is enough to reject a candidate far above a limit.
SCREEN = Effort(sessions=1, max_sessions=1, visits=14, precision=0.02, budget_s=2.0)
#: Effort for latencies that are reported.
REPORT = Effort(sessions=4, max_sessions=8, visits=12, precision=0.02, budget_s=6.0)

Exclusive = Callable[[], AbstractContextManager[float]]


@dataclass(frozen=True)
class Latency:
    """One measured latency with its 95 % interval, and the samples from which it can be derived again."""

    latency_ms: float
    low_ms: float
    high_ms: float
    #: Growth of the process's peak memory by opening and running the model; None where it is unknown.
    peak_memory_bytes: int | None
    #: Whether the latency is certainly above the caller's limit; the measurement then ended early.
    rejected: bool
    #: ``median_ratio`` or ``min_ratio``.
    statistic: str
    #: Protocol, reference, effort, machine and runtime that the latency was measured with, as JSON values.
    conditions: Mapping[str, Any]
    #: From ``Samples.to_bytes``; ``derive`` gives this latency again, with ``reference_ms`` of the conditions.
    samples: bytes


@dataclass(frozen=True)
class Bench:
    """The functions and settings by which the protocol uses a runtime and a machine."""

    #: Opens a fresh session of the candidate.
    open_candidate: Callable[[], Session]
    #: Opens a fresh session of a rung of the reference ladder.
    open_reference: Callable[[str], Session]
    #: Names of the rungs and their approximate times, milliseconds; the rung nearest to the candidate is used.
    rungs: Mapping[str, float]
    #: A rung's calibrated time, milliseconds.
    reference_ms: Callable[[str], float]
    #: The measuring lock; entering it yields the seconds waited.
    exclusive: Exclusive
    #: ``process`` for one thread, ``wall`` for several.
    clock: Clock = "process"
    #: Energy used so far, microjoules; None where that can't be read.
    energy_uj: Callable[[], int | None] = lambda: None


def measure(
    bench: Bench,
    effort: Effort,
    *,
    reject_above_ms: float | None = None,
    on_progress: Callable[[Derived], None] = lambda derived: None,
) -> Latency:
    """Measure one candidate in sessions until the interval is narrow enough or the effort is used up.

    Args:
        bench: the candidate, the references and the lock.
        effort: how much the measurement may take.
        reject_above_ms: stop after a session if the latency is certainly above this.
        on_progress: called with the latency found so far after each session.

    Raises:
        MeasureError: the candidate can't be opened or run.
    """
    growing = _Growing(bench, effort)
    while True:
        growing.add_session()
        derived = derive(growing.samples, growing.reference_ms)
        on_progress(derived)
        if reject_above_ms is not None and derived.low_ms > reject_above_ms:
            return growing.latency(derived, rejected=True)
        if growing.enough(derived):
            return growing.latency(derived, rejected=False)


def warm_up(session: Session, clock: Clock) -> float:
    """Run bursts until two in a row take equally long, within ``WARM_UP_S``; returns the seconds of one run."""
    started = time.monotonic()
    before = _fastest_s(session.burst(1), clock)
    while True:
        now = _fastest_s(session.burst(burst_runs(before)), clock)
        spent_s = time.monotonic() - started
        steady = abs(now - before) <= STEADY * before
        if (steady and spent_s > WARM_UP_S[0]) or spent_s > WARM_UP_S[1]:
            return now
        before = now


def burst_runs(time_s: float) -> int:
    """Number of runs in a burst of a model that takes ``time_s``."""
    return int(min(max(BURST_S / max(time_s, 1e-9), RUNS[0]), RUNS[1]))


def _fastest_s(burst: Burst, clock: Clock) -> float:
    """Seconds of the fastest run, by processor time where available: on a busy core, wall time includes other work."""
    return min(burst.process_ns if clock == "process" and burst.process_ns else burst.wall_ns) / 1e9


class _Growing:
    """A measurement in progress, session by session."""

    def __init__(self, bench: Bench, effort: Effort) -> None:
        self._bench = bench
        self._effort = effort
        self._started = time.monotonic()
        self._waited_s = 0.0
        self._sessions: list[tuple[Visit, ...]] = []
        self._peaks: list[int] = []
        self._loads_ms: list[float] = []
        self._shape: tuple[int, ...] = ()
        self._energy_mj: float | None = None
        self._rung = ""
        self.reference_ms = 0.0

    @property
    def samples(self) -> Samples:
        return Samples(tuple(self._sessions), self._bench.clock)

    def add_session(self) -> None:
        """Add a session: open both models afresh and run their bursts in turn."""
        candidate, time_s = self._opened(self._open_candidate)
        try:
            reference, reference_s = self._reference(time_s)
            try:
                runs = burst_runs(time_s), burst_runs(reference_s)
                self._sessions.append(self._visits(candidate, reference, runs))
            finally:
                reference.close()
            if not self._shape:
                self._shape = candidate.input_shape
                self._energy_mj = self._energy(candidate, runs[0])
            peak = candidate.peak_memory_bytes()
        finally:
            candidate.close()
        if peak is not None:
            self._peaks.append(peak)

    def enough(self, derived: Derived) -> bool:
        """Whether to stop: the interval is narrow enough, or the next session would exceed the effort."""
        sessions, effort = len(self._sessions), self._effort
        if sessions >= effort.max_sessions:
            return True
        if sessions < effort.sessions:
            return False
        next_s = self._spent_s() / sessions
        return derived.half_width <= effort.precision or self._spent_s() + next_s > effort.budget_s

    def latency(self, derived: Derived, *, rejected: bool) -> Latency:
        """The result of all sessions so far, with its conditions."""
        self._load_again()
        samples = self.samples
        statistic = statistic_of(samples, self.reference_ms)
        return Latency(
            *derived,
            peak_memory_bytes=self._peak(),
            rejected=rejected,
            statistic=statistic,
            conditions={
                "protocol": PROTOCOL_VERSION,
                "statistic": statistic,
                "clock": samples.clock,
                "rung": self._rung,
                "reference_ms": self.reference_ms,
                "reference_drift": reference_drift(samples, self.reference_ms, statistic),
                "ratio": derived.latency_ms / self.reference_ms,
                "half_width": derived.half_width,
                "sessions": len(samples.sessions),
                "bursts": 2 * samples.num_visits,
                "runs": samples.num_runs,
                "discarded_runs": samples.num_discarded,
                "input_shape": list(self._shape),
                "energy_mj": self._energy_mj,
                "load_ms": median(self._loads_ms),
                "loads_ms": list(self._loads_ms),
                "peak_memory_bytes": self._peak(),
                "effort": asdict(self._effort),
                "seconds": time.monotonic() - self._started,
                "waited_s": self._waited_s,
            },
            samples=samples.to_bytes(),
        )

    def _reference(self, time_s: float) -> tuple[Session, float]:
        """A warm reference session and its seconds per run, of the rung nearest to the candidate's time ``time_s``.

        The first session chooses the rung, and all later ones use it.
        """
        if self._rung:
            return self._opened(lambda: self._bench.open_reference(self._rung))
        first = choose_rung(self._bench.rungs, time_s * 1e3)
        first_ms = self._bench.reference_ms(first)
        reference, reference_s = self._opened(lambda: self._bench.open_reference(first))
        # The choice uses the ratio, since a disturbance slows both models: repeats must choose the same rung.
        self._rung = choose_rung(self._bench.rungs, time_s / reference_s * first_ms)
        self.reference_ms = self._bench.reference_ms(self._rung)
        if self._rung != first:
            reference.close()
            return self._opened(lambda: self._bench.open_reference(self._rung))
        return reference, reference_s

    def _open_candidate(self) -> Session:
        """Open a fresh session of the candidate and record the load time, milliseconds."""
        started = time.perf_counter()
        session = self._bench.open_candidate()
        self._loads_ms.append((time.perf_counter() - started) * 1e3)
        return session

    def _load_again(self) -> None:
        """Open the candidate again to get more load times, as long as ``LOADS`` and ``LOADS_S`` allow it."""
        left_ms = LOADS_S * 1e3
        while len(self._loads_ms) < LOADS and median(self._loads_ms) < left_ms:
            with self._bench.exclusive() as wait_s:
                self._open_candidate().close()
            self._waited_s += wait_s
            left_ms -= self._loads_ms[-1]

    def _opened(self, opener: Callable[[], Session]) -> tuple[Session, float]:
        """Open and warm up a session under the lock; returns it and the seconds of one run."""
        with self._bench.exclusive() as wait_s:
            session = opener()
            try:
                time_s = warm_up(session, self._bench.clock)
            except BaseException:
                session.close()
                raise
        self._waited_s += wait_s
        return session, time_s

    def _visits(self, candidate: Session, reference: Session, runs: tuple[int, int]) -> tuple[Visit, ...]:
        done: list[Visit] = []
        share_s = self._effort.budget_s / self._effort.sessions
        until = self._spent_s() + share_s
        while len(done) < self._effort.visits:
            if len(done) >= MIN_VISITS and self._spent_s() > until:
                break
            with self._bench.exclusive() as wait_s:
                # The first burst after a pause meets cold caches, so the two models take turns at being first.
                if len(done) % 2:
                    second = reference.burst(runs[1])
                    bursts = candidate.burst(runs[0]), second
                else:
                    bursts = candidate.burst(runs[0]), reference.burst(runs[1])
            self._waited_s += wait_s
            done.append(Visit(*(burst_array(item.wall_ns, item.process_ns, item.preemptions) for item in bursts)))
            time.sleep(PAUSE_S)
        return tuple(done)

    def _peak(self) -> int | None:
        """Median peak over sessions: the first may also include memory that the runtime allocates only once."""
        return int(median(self._peaks)) if self._peaks else None

    def _energy(self, candidate: Session, runs: int) -> float | None:
        with self._bench.exclusive() as wait_s:
            found = energy_mj(candidate, runs, self._bench.energy_uj)
        self._waited_s += wait_s
        return found

    def _spent_s(self) -> float:
        return time.monotonic() - self._started - self._waited_s
