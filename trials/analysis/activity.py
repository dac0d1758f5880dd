"""How far a study is, what its workers did when, and why trials ended early."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from trials.store.read.activity import Ended, Job, num_ended
from trials.store.read.session import Source
from trials.store.read.studies import StudySummary

_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Spent:
    """The spent part of a study's budget."""

    #: Trials that ended, and the number that the plan allows; None if the plan does not say it.
    ended: int
    budget: int | None
    #: Seconds until the budget is spent if it goes on as before; None if that can't be told.
    left_s: float | None


def spent(source: Source, summary: StudySummary) -> Spent:
    """Return how much of its budget a study has spent.

    The time left is not told for a study with halving, whose trials differ too much.
    """
    plan, row = summary.plan.get("budget", {}), summary.row
    measurements, budget = plan.get("measurements"), plan.get("trials")
    if measurements is None:  # the strategy may measure more trials than the budget allows to train
        only_trained = row.counts.get("measured_only", 0) > 0 or sum(row.counts.values()) > (budget or math.inf)
    else:
        only_trained = measurements > 0
    ended = num_ended(source, row.name, trained=only_trained)
    wall_s = float(summary.totals.get("wall_s", 0.0))
    if (
        row.state != "running"
        or not ended
        or not budget
        or wall_s <= 0
        or summary.plan.get("estimator", {}).get("halving") is not None
    ):
        return Spent(ended, budget, None)
    left_s = max(budget - ended, 0) * wall_s / ended
    minutes = plan.get("wall_minutes")
    return Spent(ended, budget, left_s if minutes is None else min(left_s, max(60 * minutes - wall_s, 0.0)))


@dataclass(frozen=True)
class Bar:
    """One job on the timeline."""

    job: Job
    #: Row of the timeline: the pool of workers, ``training worker`` or the name of a target, and the place in it.
    pool: str
    lane: int
    #: Kind without a number: ``rung`` for ``rung-3``.
    kind: str
    start: datetime
    seconds: float

    @property
    def row(self) -> str:
        """Name of the row: ``training worker 2``."""
        return self.pool if self.lane == 0 else f"{self.pool} {self.lane + 1}"


def timeline(jobs: Sequence[Job], now: datetime | None) -> list[Bar]:
    """Return the bars of started jobs; each row holds jobs of one pool of workers that do not overlap.

    Args:
        jobs: the jobs, each with the start of its last attempt.
        now: where jobs that run end; None if no coordinator runs: their end is unknown, and their bars are empty.
    """
    free: dict[str, list[datetime]] = {}
    found = []
    for job in sorted((job for job in jobs if job.started_at), key=lambda job: (job.started_at, job.number)):
        start = job.started_at
        assert start is not None
        end = job.finished_at or (now if now is not None and job.state == "running" else start)
        pool = job.target or "training worker"  # no target has a space in its name
        lanes = free.setdefault(pool, [])
        lane = next((place for place, until in enumerate(lanes) if until <= start), len(lanes))
        lanes[lane : lane + 1] = [end]
        found.append(Bar(job, pool, lane, job.kind.partition("-")[0], start, max((end - start).total_seconds(), 0.0)))
    return found


@dataclass(frozen=True)
class Reason:
    """Trials that ended in one state for reasons that differ only in their numbers."""

    state: str
    #: The reason with each number as ``…``; it stays the same when further trials join.
    kind: str
    #: The reason with those numbers as ``…`` in which the trials differ.
    text: str
    count: int


def grouped(ended: Sequence[Ended]) -> list[Reason]:
    """Return the reasons without the numbers in which they differ, failures first, and then the most frequent first."""
    alike: dict[tuple[str, str], list[Ended]] = {}
    for item in ended:
        alike.setdefault((item.state, _NUMBER.sub("…", item.reason)), []).append(item)
    found = [
        Reason(state, kind, _common([item.reason for item in items]), sum(item.count for item in items))
        for (state, kind), items in alike.items()
    ]
    return sorted(found, key=lambda reason: (reason.state != "failed", -reason.count, reason.text))


def _common(texts: Sequence[str]) -> str:
    """Return texts that differ only in their numbers as one text, with ``…`` for each number that differs."""
    numbers = zip(*(_NUMBER.findall(text) for text in texts), strict=True)
    shown = iter([own[0] if len(set(own)) == 1 else "…" for own in numbers])
    return _NUMBER.sub(lambda _: next(shown), texts[0])
