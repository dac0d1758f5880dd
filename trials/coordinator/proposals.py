"""Decide what a study trains next: propose candidates, choose among measured ones, continue paused trainings."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

from nas.errors import StudyError
from nas.strategies import Goal, Observation, Strategy, Suggestion
from trials.coordinator.context import CoordinatorContext
from trials.coordinator.description import enqueued_suggestion, sample
from trials.coordinator.dispatch import Dispatcher
from trials.coordinator.original import original_of, settled, waiting_for_original
from trials.coordinator.pipeline import (
    TRAINING,
    OpenTrial,
    Step,
    TrialJob,
    continues,
    first_step,
    is_training,
    pool_of,
    rung_step,
)
from trials.coordinator.progress import FINAL_STATES
from trials.coordinator.targets.other_targets import OtherTargets
from trials.executors import TRAIN_POOL
from trials.store.read.history import (
    earlier_studies,
    enqueued_candidates,
    pass_suggestions,
    stored_suggestions,
    twin_latencies,
)
from trials.store.records import ArchitectureValue
from trials.store.write.jobs import stop_candidate
from trials.store.write.repeats import queue_training
from trials.store.write.studies import set_limits


class Proposals:
    """Asks the strategy of a study for candidates, queues their first jobs, and tells it what became of them.

    Enqueued candidates come before those of the strategy, and the original before all others.

    Attributes:
        took: how often the strategy was asked and told, and the seconds of both together, since this was last emptied:
            ``asks``, ``ask_s``, ``tells``, ``tell_s``.
    """

    def __init__(self, context: CoordinatorContext, jobs: Dispatcher) -> None:
        self._store, self._assignment, self._executor = context.store, context.assignment, context.executor
        self._problem, self._progress, self._jobs = context.assignment.problem, context.progress, jobs
        self._other_targets = OtherTargets(context.store, context.assignment)
        self._enqueued: Sequence[Mapping[str, Any]] = ()
        self.strategy = self._new_strategy()
        self.took: dict[str, float] = defaultdict(float)

    def begin(self) -> None:
        """Rebuild progress and strategy from the tables, because a strategy can't forget an observation."""
        study_id = self._assignment.lease.study_id
        self.strategy = self._new_strategy()
        if self._problem.plan.warm_start:
            self.strategy.start_from(self._store.read(earlier_studies, study_id))
        self._observe(self._store.read(pass_suggestions, study_id, self._progress.restore))
        self.read_enqueued()
        self._progress.twins = self._store.read(twin_latencies, study_id)

    def read_enqueued(self) -> None:
        """Read the candidates that were enqueued by hand."""
        self._enqueued = self._store.read(enqueued_candidates, self._assignment.lease.study_id)

    def _new_strategy(self) -> Strategy:
        goal = Goal(self._problem.objectives, self._assignment.limits)
        return self._problem.strategy(goal, self._problem.plan.seed)

    def tell(self, observations: Sequence[Observation]) -> None:
        """Tell the strategy observations, except for an original that no answers lead to."""
        with self._timed("tell"):
            self._observe(observations)

    def _observe(self, observations: Sequence[Observation]) -> None:
        self.strategy.observe([item for item in observations if item.suggestion.questions])

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.took[f"{what}s"] += 1
        self.took[f"{what}_s"] += time.monotonic() - started

    def settle_limits(self) -> None:
        """Give limits that are relative to the original their numbers, once the original is finished.

        Raises:
            OriginalError: the original has no value for one of them.
        """
        if not waiting_for_original(self._problem, self._assignment.limits):
            return
        rows = self._store.read(stored_suggestions, self._assignment.lease.study_id)
        row = next((row for row in rows if row.suggestion.number == self._assignment.original), None)
        if row is None or row.state not in FINAL_STATES:
            return
        limits = settled(self._problem, self._assignment.limits, row.metrics)
        stored = {name: asdict(limit) for name, limit in limits.items()}
        self._store.write(set_limits, self._assignment.lease, stored)
        self._assignment.limits.update(limits)
        self.begin()

    def next(self) -> str | None:
        """Propose candidates while workers can start them; return the final state once there is nothing to propose."""
        while self._progress.num_trials < self._problem.plan.budget.trials:
            number = self._progress.num_suggestions
            if number == self._assignment.original:
                self._suggest_original()
            elif waiting_for_original(self._problem, self._assignment.limits):
                return None
            elif self._may_enqueue():
                self._suggest_enqueued()
            elif self._may_train():
                self._choose()
            elif over := self._over(number):
                has_more = self._progress.measured or not self._jobs.idle
                waits = self._waiting_enqueued() or (self._problem.max_measured and has_more)
                return None if waits else over
            elif self._hungry():
                self._suggest()
            else:
                return None
        return "complete"

    def _over(self, number: int) -> str | None:
        """The final state of a study that can't propose suggestion ``number``; None if it can."""
        if number >= self._problem.max_suggestions or self.strategy.exhausted(number):
            return "exhausted"
        spent = self._problem.max_measured and self._progress.num_measured >= self._problem.max_measured
        return "complete" if spent else None

    def _hungry(self) -> bool:
        """Whether a new candidate would start at once, no other pool has a backlog, and not too many are measured."""
        return self._has_room() and (not self._progress.measured or self._measures_more())

    def _has_room(self) -> bool:
        """Whether a new candidate would start at once, and no other pool has a backlog."""
        waiting = self._waiting()
        first = pool_of(first_step(self._problem))
        return waiting.pop(first, 0) < max(1, self._executor.free(first)) and max(waiting.values(), default=0) < 2

    def _waiting_enqueued(self) -> Sequence[Mapping[str, Any]]:
        """Answers of the candidates that were enqueued by hand and are not proposed yet."""
        return self._enqueued[self._progress.num_enqueued :]

    def _may_enqueue(self) -> bool:
        """Whether an enqueued candidate waits that would start at once."""
        return bool(self._waiting_enqueued()) and self._has_room()

    def _measures_more(self) -> bool:
        """Whether to measure more candidates while some wait for a training: measuring fills the time of trainings."""
        share = self._problem.max_measured / self._problem.plan.budget.trials
        return self.strategy.chooses and self._progress.num_measured < share * (self._progress.num_trials + 1)

    def _may_train(self) -> bool:
        """Whether a measured candidate is there and its training would start at once."""
        return bool(self._progress.measured) and self._waiting()[TRAIN_POOL] < self._executor.free(TRAIN_POOL)

    def _waiting(self) -> Counter[str]:
        """Number of queued jobs of each pool."""
        return Counter(pool_of(job.step) for job in self._jobs.queued)

    def _choose(self) -> None:
        """Queue the training of a measured candidate: an enqueued one, or the one that the strategy chooses."""
        number = self._progress.wanted
        if number is None:
            with self._timed("ask"):
                number = self.strategy.choose(list(self._progress.measured), self._progress.num_suggestions)
        candidate = self._progress.measured[number]
        rungs = self._problem.rungs
        step = rung_step(rungs[0]) if rungs else TRAINING
        self._jobs.restore(self._store.write(queue_training, self._assignment.lease, candidate, step))
        self.tell(self._progress.chosen(number))

    def _suggest_original(self) -> None:
        """Suggest the original, which always comes first."""
        original = original_of(self._problem)
        if original is None:
            raise StudyError(
                f"study {self._assignment.name!r} starts with the original network of its space, but the code of the "
                "space no longer has one; restore the code that the study started with, or start a new study"
            )
        self._add(original.suggestion(self._problem), original.described(self._problem))

    def _suggest_enqueued(self) -> None:
        """Suggest the next candidate that was enqueued by hand."""
        number, choices = self._progress.num_suggestions, self._waiting_enqueued()[0]
        suggestion, sampled = enqueued_suggestion(self._problem, self._other_targets, choices, number)
        self._add(self.strategy.adopt(suggestion, sampled), sampled.described())

    def _suggest(self) -> None:
        number = self._progress.num_suggestions
        with self._timed("ask"):
            suggestion, sampled = self.strategy.propose(partial(sample, self._problem, self._other_targets), number)
        self._add(suggestion, sampled.described())

    def _add(self, suggestion: Suggestion, architecture: ArchitectureValue) -> None:
        """Store a suggestion; a network that the study does not have yet becomes a candidate."""
        step = first_step(self._problem)
        candidate = self._progress.candidate_of(architecture.identity)
        job = None if candidate is not None else self._first_job(architecture, step)
        self._store.propose(suggestion, architecture, step, job)
        if job is None:
            assert candidate is not None
            observation = self._progress.duplicated(candidate, suggestion)
        else:
            candidate = job.trial.number
            observation = self._progress.proposed(candidate, suggestion, architecture.identity)
            if job.trial.original:
                self._progress.trains(candidate)
            self._jobs.queued.append(job)
        if suggestion.enqueued:
            self._progress.enqueues(candidate)
        self.tell([observation])

    def _first_job(self, architecture: ArchitectureValue, step: Step) -> TrialJob:
        """Return the first job of a new candidate."""
        number = self._progress.num_candidates
        trial = OpenTrial(0, number, architecture.identity, architecture.definition)
        trial.original = number == self._assignment.original
        return TrialJob(trial, step)

    def promote(self, *, last: bool) -> None:
        """Queue the next part of paused trainings that continue, in front of all others, while workers are free."""
        while self._promotions() < self._executor.free(TRAIN_POOL):
            candidate = self._progress.promotion(last=last and self._jobs.idle)
            if candidate is None:
                return
            step = self._next_part(self._progress.paused[candidate])
            open_job = self._store.write(queue_training, self._assignment.lease, candidate, step)
            self._jobs.restore(open_job, first=True)
            self.tell(self._progress.promoted(candidate))

    def _promotions(self) -> int:
        """Number of queued parts of trainings that continue from a rung."""
        return sum(is_training(job.step) and continues(job.trial) for job in self._jobs.queued)

    def _next_part(self, rung: int) -> Step:
        higher = [epochs for epochs in self._problem.rungs if epochs > rung]
        return rung_step(higher[0]) if higher else TRAINING

    def end_paused(self, why: str) -> None:
        """Stop all paused candidates for good."""
        for candidate, rung in list(self._progress.paused.items()):
            reason = f"stopped after {rung} of {self._problem.estimator().num_epochs} epochs: {why}"
            self._store.write(stop_candidate, self._assignment.lease, candidate, reason)
            self.tell(self._progress.left_paused(candidate))
