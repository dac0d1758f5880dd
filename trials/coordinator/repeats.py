"""Repeats at the end of a study, for candidates whose membership of the front is uncertain.

The candidate with the least certain membership comes first: its latency is measured again in fresh sessions, or its
network is trained again with another seed. Measurements of one candidate are separated in time, so that a short
disturbance does not affect all of them. Latencies of front candidates, which would be reported, are repeated first.
Each repeat is a job with stored rows, and the rows count against the budget, however often the study was killed.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.strategies import Limit
from nas.tasks.intervals import Interval
from trials.analysis.membership import membership_of
from trials.analysis.over_seeds import over_seeds
from trials.coordinator.assignment import Assignment
from trials.coordinator.journal import Journal
from trials.coordinator.pipeline import (
    OpenTrial,
    Step,
    broken_limit,
    kind_of,
    measurement,
    pool_of,
)
from trials.jobs import messages
from trials.jobs.messages import RemeasureResult, ValueAndInterval
from trials.plans.problem import Problem
from trials.store.read.history import kept_artifacts, repeat_counts
from trials.store.read.measured import measurement_ages_s
from trials.store.read.points import points
from trials.store.records import JobResult, MetricValue, OpenJob
from trials.store.target_metrics import LATENCY_PERCENTILES
from trials.store.write.repeats import queue_repeat

REMEASURE, RETRAIN = "remeasure", "retrain"
#: (candidate's number, kind, target) → number of repeats.
RepeatCounts = Counter[tuple[int, str, str]]


def is_repeat(step: Step) -> bool:
    """Whether a step is a repeat of a complete candidate."""
    return kind_of(step) in (REMEASURE, RETRAIN)


@dataclass(frozen=True)
class Repeat:
    """A possible repeat."""

    number: int
    step: Step
    #: p (1 - p) / (k + 1) for a membership p and k earlier repeats; the divisor keeps indistinguishable candidates from
    #: taking the whole budget.
    doubt: float
    #: Whether it is the first repeat of a front candidate's latency, which would be reported.
    first: bool
    #: Seconds until the candidate may be measured on the target again.
    wait_s: float


class Repeats:
    """Chooses repeats one after the other; each choice takes the results of earlier repeats into account.

    Attributes:
        waiting: whether all remaining repeats must wait because their last measurement was too recent.
        phase: how many repeats were started, in words; empty before ``next_jobs`` looked for any.
    """

    def __init__(self, store: Journal, assignment: Assignment) -> None:
        self._store = store
        self._assignment = assignment
        self._problem = assignment.problem
        self._seen: object = None
        self._due_at = math.inf
        self.waiting = False
        self.phase = ""

    def next_jobs(self, free: Callable[[str], int], num_running: int) -> list[OpenJob]:
        """Queue a repeat of each kind for which a worker is ``free``, while there is budget and uncertainty."""
        plan = self._problem.plan.confidence
        budget = {REMEASURE: plan.remeasure, RETRAIN: plan.retrain}
        if not any(budget.values()):
            return []
        counts = self._store.read(repeat_counts, self._assignment.lease.study_id)
        self.phase = f"second looks {counts.total()} of at most {sum(budget.values())}"
        left = {
            kind: allowed - sum(counts[key] for key in counts if key[1] == kind) for kind, allowed in budget.items()
        }
        ready = [step for step in _steps(self._problem) if left[step[0]] > 0 and free(pool_of(step)) > 0]
        state = counts, ready, num_running
        if not ready or (self._seen == state and time.monotonic() < self._due_at):
            return []
        self._seen = state
        return [self._queue(counts, repeat) for repeat in self._chosen(counts, ready)]

    def _chosen(self, counts: RepeatCounts, ready: Sequence[Step]) -> list[Repeat]:
        """Return the best repeat of each kind that is due, and note when the next one will be due."""
        found = self._store.transactions.patiently(lambda: points(self._store.store, self._assignment.name))
        front = set(found.numbers[found.on_front].tolist())
        ages_s = (
            self._store.read(measurement_ages_s, self._assignment.lease.study_id)
            if any(kind == REMEASURE for kind, _ in ready)
            else {}
        )
        revisit_s = self._problem.plan.confidence.revisit_s
        possible = doubtful(membership_of(found), front, counts, ready, ages_s, revisit_s)
        if any(kind == REMEASURE for kind, _ in ready):
            kept = {item.candidate_number for item in self._store.read(kept_artifacts, self._assignment.name)}
            possible = [repeat for repeat in possible if repeat.step[0] != REMEASURE or repeat.number in kept]
        chosen = [best([repeat for repeat in possible if repeat.step[0] == kind]) for kind in (REMEASURE, RETRAIN)]
        due = [repeat for repeat in chosen if repeat]
        self.waiting = bool(possible) and not due
        self._due_at = time.monotonic() + min((repeat.wait_s for repeat in possible if repeat.wait_s), default=math.inf)
        return due

    def _queue(self, counts: RepeatCounts, repeat: Repeat) -> OpenJob:
        kind, target = repeat.step
        step = f"{kind}-{counts[repeat.number, kind, target] + 1}", target
        return self._store.write(queue_repeat, self._assignment.lease, repeat.number, step)


def doubtful(
    shares: Mapping[int, float],
    front: Collection[int],
    counts: RepeatCounts,
    steps: Sequence[Step],
    ages_s: Mapping[tuple[int, str], float],
    revisit_s: float,
) -> list[Repeat]:
    """Return every repeat that could add information.

    Args:
        shares: number of each complete candidate → its probability to be on the front.
        front: numbers of the candidates on the front by their recorded values.
        counts: repeats so far.
        steps: possible kinds and targets.
        ages_s: (number, target) → seconds since the candidate was last measured on the target.
        revisit_s: smallest number of seconds between two measurements of a candidate on a target.
    """
    found = []
    for number, share in shares.items():
        for step in steps:
            kind, target = step
            seen = counts[number, kind, target]
            again = kind == REMEASURE
            wait_s = max(0.0, revisit_s - ages_s.get((number, target), math.inf)) if again else 0.0
            first = again and not seen and number in front
            if first or 0 < share < 1:
                found.append(Repeat(number, step, share * (1 - share) / (1 + seen), first, wait_s))
    return found


def best(repeats: Sequence[Repeat]) -> Repeat | None:
    """Return the best due repeat: a first repeat on the front, else the most doubtful, else the oldest candidate."""
    due = [repeat for repeat in repeats if not repeat.wait_s]
    return max(due, key=lambda repeat: (repeat.first, repeat.doubt, -repeat.number), default=None)


def after_repeat(
    problem: Problem, limits: Mapping[str, Limit], trial: OpenTrial, step: Step, result: Mapping[str, Any]
) -> JobResult:
    """Derive from a repeat: pooled values that replace the recorded ones, and whether a limit is certainly violated.

    This adds the result and its metrics to ``trial``.
    """
    target = step[1]
    trial.results[step] = kept = {key: value for key, value in result.items() if key != "latency"}
    if target:
        again = messages.REMEASURE.result(result)
        metrics = [MetricValue(name, target, *interval) for name, interval in _pooled(again).items()]
        measurements = [measurement(target, REMEASURE, again["structure_hash"], again["latency"])]
    else:
        metrics = [MetricValue(name, "", *over_seeds(*seen)) for name, seen in _seen_by_seed(trial).items()]
        measurements = []
    trial.metrics.update({(metric.name, metric.target): metric for metric in metrics})
    broken = broken_limit(problem, limits, trial.metrics)
    return JobResult(
        result=kept,
        metrics=metrics,
        measurements=measurements,
        candidate_state="infeasible" if broken else None,
        reason=broken,
    )


def _pooled(result: RemeasureResult) -> dict[str, ValueAndInterval]:
    """Return metric → value and interval, pooled over all measurements of the candidate."""
    pooled = result["pooled"]
    return {"latency_ms": (pooled["latency_ms"], pooled["low_ms"], pooled["high_ms"]), **pooled["percentiles"]}


def _seen_by_seed(trial: OpenTrial) -> dict[str, tuple[list[float], Interval]]:
    """Return metric → its values with every seed, the study's own seed first, and the interval with that seed."""
    first = trial.trained
    repeats = [result["scores"] for (kind, _), result in trial.results.items() if kind.startswith(RETRAIN)]
    return {
        name: ([first["metrics"][name], *(scores[name] for scores in repeats)], (interval[0], interval[1]))
        for name, interval in first.get("intervals", {}).items()
    }


def _steps(problem: Problem) -> list[Step]:
    """Return the possible repeats: on the targets of the objectives, and a training if an objective is a task score."""
    keys = [problem.metric_key(name) for name in problem.objectives]
    steps = [(REMEASURE, target) for name, target in keys if name in ("latency_ms", *LATENCY_PERCENTILES)]
    steps = list(dict.fromkeys(steps))
    learned = problem.score_names.keys() & {name for name, _ in keys}
    return [*steps, (RETRAIN, "")] if learned else steps
