"""The progress of a study, derived from the tables: outcomes for the strategy, and numbers for a display."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from nas.strategies import Limit, Observation, Suggestion
from nas.tasks.intervals import Z
from trials.coordinator.pipeline import Metrics, violations
from trials.coordinator.rungs import Rungs
from trials.plans.problem import Problem
from trials.store.records import MetricValue

FINAL_STATES = frozenset({"complete", "infeasible", "stopped", "failed"})
#: The state of a candidate that may be chosen for training, and then runs again.
MEASURED_ONLY = "measured_only"
#: The state of a candidate whose training waits at a rung.
PAUSED = "paused"
#: Final states of candidates whose scores at rungs do not matter any more.
_SETTLED = frozenset({"complete", "infeasible", "failed"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a candidate, in the form that strategies observe."""

    state: Any
    values: Mapping[str, float] = field(default_factory=dict)
    violations: Mapping[str, float] = field(default_factory=dict)
    spreads: Mapping[str, float] = field(default_factory=dict)
    proxies: Mapping[str, float] = field(default_factory=dict)

    def observed(self, suggestion: Suggestion) -> Observation:
        """Return the observation of this outcome for a suggestion of the candidate."""
        return Observation(suggestion, self.state, self.values, self.violations, self.spreads, self.proxies)


RUNNING = Outcome("running")
#: Stands for all empty mappings: a study of many candidates would have hundreds of thousands of them.
_NONE: Mapping[str, float] = MappingProxyType({})


class Progress:
    """Outcomes of finished candidates, suggestions of open ones, and running counts; candidates go by their numbers.

    Attributes:
        counts: number of candidates by state.
        duplicates: number of suggestions of an existing candidate, which are answered from the tables.
        paused: number of each ``paused`` candidate → the rung at which its training waits.
        measured: number of the first suggestion of each ``measured_only`` candidate → the candidate.
        enqueued: candidates that were enqueued by hand.
        num_enqueued: number of suggestions of enqueued candidates.
        twins: (identity, target) of each measured dense twin → its latency and interval.
    """

    def __init__(self, problem: Problem, limits: Mapping[str, Limit]) -> None:
        self._problem = problem
        self._limits = limits
        #: Identity of each candidate's network → the candidate.
        self._candidates: dict[str, int] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._waiting: dict[int, list[Suggestion]] = {}
        self.counts: Counter[str] = Counter()
        self.measured: dict[int, int] = {}
        self.enqueued: set[int] = set()
        self.num_enqueued = 0
        self.paused: dict[int, int] = {}
        self._rungs = Rungs(problem)
        #: Metrics of candidates that have reached a rung and have no score at the end.
        self._unfinished: dict[int, Metrics] = {}
        self._trained: set[int] = set()
        self._num_finished = 0
        self._points: dict[int, tuple[float, ...]] = {}
        self.num_suggestions = 0
        self.duplicates = 0
        self.twins: dict[tuple[str, str], Mapping[str, float]] = {}

    @property
    def points(self) -> list[tuple[float, ...]]:
        """Objective vectors of complete candidates, in the order of the objectives."""
        return list(self._points.values())

    @property
    def num_candidates(self) -> int:
        """Number of candidates in any state."""
        return sum(self.counts.values())

    @property
    def num_trials(self) -> int:
        """Number of candidates that count in the budget of trials.

        These are all candidates, or the trained ones if others may be measured only.
        """
        return len(self._trained) if self._problem.max_measured else self.num_candidates

    @property
    def num_measured(self) -> int:
        """Number of candidates that count in the budget of measurements."""
        return self.num_candidates - self.num_trials

    @property
    def num_finished(self) -> int:
        """Number of candidates that count in the budget of trials and are in a final state."""
        return self._num_finished

    def candidate_of(self, identity: str) -> int | None:
        """Return the candidate with a network; None if the study does not have it yet."""
        return self._candidates.get(identity)

    def proposed(self, candidate: int, suggestion: Suggestion, identity: str) -> Observation:
        """Add a new candidate, which is queued."""
        self._candidates[identity] = candidate
        self.num_suggestions += 1
        self.counts["queued"] += 1
        self._waiting[candidate] = [suggestion]
        return Observation(suggestion, "running")

    def duplicated(self, candidate: int, suggestion: Suggestion) -> Observation:
        """Add a duplicate suggestion; it is answered now if the candidate is finished, else when it finishes."""
        self.num_suggestions += 1
        self.duplicates += 1
        outcome = self._outcomes.get(candidate, RUNNING)
        if candidate in self._waiting:
            self._waiting[candidate].append(suggestion)
        return outcome.observed(suggestion)

    def moved(self, before: str, after: str) -> None:
        """Record that a candidate changed its state."""
        self.counts[before] -= 1
        self.counts[after] += 1

    def finished(self, candidate: int, state: str, metrics: Metrics) -> list[Observation]:
        """Record a candidate's final state, and return the observation of each of its suggestions."""
        self.paused.pop(candidate, None)
        outcome = self._remember(candidate, state, metrics)
        self._count_finished(candidate)
        told = [outcome.observed(suggestion) for suggestion in self._waiting.get(candidate, [])]
        if candidate not in self._unfinished:
            self._waiting.pop(candidate, None)
        return told + (self._expected_again() if state == "complete" else [])

    def _expected_again(self) -> list[Observation]:
        """Return observations of all unfinished candidates, because a score at the end changes their expectations."""
        unfinished = list(self._unfinished.items())
        again = {key: self._remember(key, self._outcomes[key].state, metrics) for key, metrics in unfinished}
        return [outcome.observed(suggestion) for key, outcome in again.items() for suggestion in self._waiting[key]]

    def pauses(self, candidate: int, metrics: Metrics) -> list[Observation]:
        """Record that a candidate's training waits at a rung; return its observations."""
        outcome = self._remember(candidate, PAUSED, metrics)
        self.paused[candidate] = self._rungs.reached(metrics)
        return [outcome.observed(suggestion) for suggestion in self._waiting[candidate]]

    def left_paused(self, candidate: int) -> list[Observation]:
        """Record that a paused candidate is stopped for good; return its observations."""
        self.moved(PAUSED, "stopped")
        return self.finished(candidate, "stopped", self._unfinished[candidate])

    def promotion(self, *, last: bool) -> int | None:
        """Return the paused candidate whose training continues next; None if none may continue yet.

        Args:
            last: whether nothing runs, and no candidate can be added any more.
        """
        return self._rungs.promotion(self.paused, last=last)

    def promoted(self, candidate: int) -> list[Observation]:
        """Record that the training of a paused candidate continues; return its observations."""
        del self.paused[candidate]
        self.moved(PAUSED, "running")
        outcome = self._outcomes[candidate] = replace(self._outcomes[candidate], state="running")
        return [outcome.observed(suggestion) for suggestion in self._waiting[candidate]]

    def only_measured(self, candidate: int, metrics: Metrics) -> list[Observation]:
        """Record that a candidate is measured and may be chosen for training; return its observations."""
        outcome = self._remember(candidate, MEASURED_ONLY, metrics)
        suggestions = self._waiting[candidate]
        self.measured[suggestions[0].number] = candidate
        return [outcome.observed(suggestion) for suggestion in suggestions]

    def chosen(self, number: int) -> list[Observation]:
        """Record that the measured candidate of suggestion ``number`` is to be trained; return its observations."""
        candidate = self.measured.pop(number)
        self._trained.add(candidate)
        self.moved(MEASURED_ONLY, "running")
        outcome = self._outcomes[candidate] = replace(self._outcomes[candidate], state="running")
        return [outcome.observed(suggestion) for suggestion in self._waiting[candidate]]

    def enqueues(self, candidate: int) -> None:
        """Record that the last suggestion was of a candidate that was enqueued by hand, which is trained if feasible.

        A measured candidate counts as trained only when ``wanted`` leads to its training.
        """
        self.num_enqueued += 1
        self.enqueued.add(candidate)
        if self._outcomes.get(candidate, RUNNING).state == "running":
            self._trained.add(candidate)

    @property
    def wanted(self) -> int | None:
        """Number of the first suggestion of a measured candidate that was enqueued; None without any."""
        return next((number for number, found in self.measured.items() if found in self.enqueued), None)

    def trains(self, candidate: int) -> None:
        """Record that a candidate is trained without being chosen."""
        self._trained.add(candidate)

    def revised(self, candidate: int, state: str, metrics: Metrics) -> None:
        """Record new metrics, and possibly a new state, of a complete candidate after a repeat."""
        self._points.pop(candidate, None)
        self._remember(candidate, state, metrics)

    def restore(self, rows: Iterable[Any]) -> list[Observation]:
        """Rebuild the progress from stored suggestions (``stored_suggestions``) in order; discard all earlier state."""
        kept = self._candidates, self._outcomes, self._waiting, self._points, self.counts, self.measured
        for known in (*kept, self._trained, self.enqueued):
            known.clear()
        self.num_suggestions = self.duplicates = self._num_finished = self.num_enqueued = 0
        self.paused.clear()
        self._unfinished.clear()
        self._rungs.clear()
        observations = []
        if self._problem.rungs:  # what to expect of unfinished candidates depends on all others
            rows = list(rows)
            for row in rows:
                self._rungs.record(row.candidate, row.state, row.metrics)
        for row in rows:
            self.num_suggestions += 1
            if row.duplicate:
                self.duplicates += 1
            else:
                self._restore_candidate(row)
            if row.suggestion.enqueued:
                self.enqueues(row.candidate)
            outcome = self._outcomes.get(row.candidate, RUNNING)
            if outcome.state not in FINAL_STATES or row.candidate in self._unfinished:
                self._waiting.setdefault(row.candidate, []).append(row.suggestion)
            observations.append(outcome.observed(row.suggestion))
        return observations

    def _restore_candidate(self, row: Any) -> None:
        self.counts[row.state] += 1
        self._candidates[row.identity] = row.candidate
        if row.trained or (row.suggestion.enqueued and row.state != MEASURED_ONLY):
            self._trained.add(row.candidate)
        rung = self._rungs.reached(row.metrics)
        is_known = row.state in FINAL_STATES or row.state == MEASURED_ONLY or rung
        if is_known or (row.trained and self._problem.max_measured):
            self._remember(row.candidate, row.state, row.metrics)
        if row.state == PAUSED:
            self.paused[row.candidate] = rung
        if row.state in FINAL_STATES:
            self._count_finished(row.candidate)
        elif row.state == MEASURED_ONLY:
            self.measured[row.suggestion.number] = row.candidate

    def _count_finished(self, candidate: int) -> None:
        self._num_finished += not self._problem.max_measured or candidate in self._trained

    def _remember(self, candidate: int, state: str, metrics: Metrics) -> Outcome:
        keys = {name: self._problem.metric_key(name) for name in self._problem.objectives}
        values = {name: metrics[key].value for name, key in keys.items() if key in metrics}
        broken = violations(self._problem, self._limits, metrics, rejected=state == "infeasible")
        spreads = {name: found for name, key in keys.items() if (found := spread_of(metrics.get(key))) is not None}
        self._rungs.record(candidate, state, metrics)
        self._unfinished.pop(candidate, None)
        if self._rungs.reached(metrics) and state not in _SETTLED:
            self._unfinished[candidate] = metrics
            for name, (value, spread) in self._rungs.expected(metrics).items():
                values.setdefault(name, value)
                spreads.setdefault(name, spread)
        proxies = {name: metrics[name, ""].value for name in self._problem.proxies if (name, "") in metrics}
        outcome = self._outcomes[candidate] = Outcome(
            state, values, broken or _NONE, spreads or _NONE, proxies or _NONE
        )
        if state == "complete" and values.keys() >= self._problem.objectives.keys():
            self._points[candidate] = tuple(values[name] for name in self._problem.objectives)
        return outcome


def spread_of(metric: MetricValue | None) -> float | None:
    """Return the standard deviation that follows from a metric's 95 % interval; None without an interval."""
    if metric is None or metric.low is None or metric.high is None:
        return None
    return (metric.high - metric.low) / (2 * Z)
