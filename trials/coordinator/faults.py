"""Faults in a running study, and their consequences.

After a fault of the place, the job is tried again after a pause; if the fault lasts, the study is interrupted. After an
unexplained death of a worker, the job is tried again a few times. An error of a candidate ends the candidate; if all
candidates end with the same error, the study is interrupted.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from nas.errors import AllFailedError, PlaceError
from trials.plans.plan import FaultsPlan
from trials.store.read.candidates import candidates_page
from trials.store.store import Store

log = logging.getLogger(__name__)

#: Seconds before a job is tried again; the pause doubles each time up to the longest.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
#: Largest time that one attempt adds to the duration of a fault, so that two kills hours apart are not one long fault.
LONGEST_ATTEMPT_S = 60.0
#: Number of unexplained deaths of workers in a row after which a job counts as failed.
MAX_UNCLEAR = 3


@dataclass
class _Trouble:
    """The state of a job that a fault of the place interrupted."""

    lasted_s: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    until: float = 0.0


class Faults:
    """The faults of one study. Jobs are identified by a key, such as their id or the name of a target."""

    def __init__(self, plan: FaultsPlan, study: str) -> None:
        self._plan = plan
        self._study = study
        self._troubles: dict[object, _Trouble] = {}
        self._unclear: Counter[object] = Counter()
        self._ends = 0
        self._alike = 0
        self._last: str | None = None

    @property
    def waiting(self) -> bool:
        """Whether a job waits for a fault of the place to end."""
        return bool(self._troubles)

    def is_paused(self, job: object) -> bool:
        """Whether a job must still wait before it is tried again."""
        trouble = self._troubles.get(job)
        return trouble is not None and time.monotonic() < trouble.until

    def of_place(self, job: object, reason: str, *, ran_s: float = 0.0) -> None:
        """Record that a fault of the place interrupted a job after ``ran_s``, and pause the job.

        Raises:
            PlaceError: the fault has lasted as long as the plan allows.
        """
        reason = reason.rstrip(". ")
        trouble = self._troubles.setdefault(job, _Trouble())
        trouble.lasted_s += min(ran_s, LONGEST_ATTEMPT_S)
        if trouble.lasted_s >= 60 * self._plan.patience_minutes:
            raise PlaceError(
                f"{reason}. This has lasted {trouble.lasted_s / 60:.3g} minutes (faults.patience_minutes); nothing is "
                f"lost: fix it, then nas resume {self._study}"
            )
        log.warning("%s. The candidate did not cause this; trying again in %.0f s", reason, trouble.pause_s)
        trouble.until = time.monotonic() + trouble.pause_s
        trouble.lasted_s += trouble.pause_s
        trouble.pause_s = min(2 * trouble.pause_s, LONGEST_PAUSE_S)

    def is_unclear(self, job: object, *, healthy: bool) -> bool:
        """Record an unexplained death of a job's worker; return whether to try again.

        ``healthy``: whether all targets are good; only then the death counts against the job.
        """
        self._unclear[job] += healthy
        return self._unclear[job] < MAX_UNCLEAR

    def came_through(self, job: object) -> None:
        """Forget the faults of a job that has ended, whatever its result."""
        self._troubles.pop(job, None)
        self._unclear.pop(job, None)

    def ended(self, number: int, error: str | None, trace: str = "") -> None:
        """Record that trial ``number`` ended; with ``error`` it failed.

        Raises:
            AllFailedError: as many trials as the plan allows failed with the same error at the same place in the code.
        """
        self._ends += 1
        kind = None if error is None else f"{error.partition(':')[0]} {place_of(trace)}".strip()
        self._alike = 0 if kind is None else self._alike + 1 if kind == self._last else 1
        self._last = kind
        first, in_a_row = self._plan.first_failures, self._plan.failures_in_a_row
        if self._alike and self._alike == self._ends == first:
            raise AllFailedError(self._all_failed(f"the first {first} trials", number, error))
        if self._alike and self._alike == in_a_row:
            raise AllFailedError(self._all_failed(f"{in_a_row} trials in a row", number, error))

    def _all_failed(self, which: str, number: int, error: str | None) -> str:
        return (
            f"{which} of study {self._study!r} failed with the same error: {error} ({self._last}). "
            f"nas show {self._study} {number} shows the traceback. Fix the plan or the code, then "
            f"nas resume {self._study}, or start a new study. With faults.first_failures: 0 and "
            "faults.failures_in_a_row: 0 in the plan, a study continues whatever fails"
        )


def check_some_succeeded(store: Store, study: str, counts: Mapping[str, int]) -> None:
    """Raise AllFailedError if a study has ended with failed candidates, and none is complete or infeasible."""
    if counts.get("failed", 0) and not counts.get("complete", 0) + counts.get("infeasible", 0):
        failed = candidates_page(store, study, states=("failed",), limit=1).rows[0].number
        raise AllFailedError(
            f"study {study!r} has ended, and no trial succeeded: {counts['failed']} failed; "
            f"nas show {study} lists the reasons, nas show {study} {failed} shows a traceback"
        )


def place_of(trace: str) -> str:
    """Return the innermost file and line of a traceback; empty without a traceback."""
    lines = [line.strip() for line in trace.splitlines() if line.startswith('  File "')]
    return lines[-1] if lines else ""
