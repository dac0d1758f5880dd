"""The open jobs of a running study: those that wait for a worker, and those that a worker runs."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from trials.coordinator.context import CoordinatorContext
from trials.coordinator.limits import Limits, written_folders
from trials.coordinator.payloads import payload_of
from trials.coordinator.pipeline import RUNG, OpenTrial, Step, TrialJob, epochs_of, is_audit, kind_of, pool_of, twin_of
from trials.executors import Job
from trials.jobs.messages import OF_KIND
from trials.store.records import OpenJob
from trials.store.write.jobs import requeue_job


class Dispatcher:
    """Gives jobs to free workers, oldest first, and returns stored results for jobs that need not run.

    Attributes:
        queued: jobs that wait for a worker.
        running: key of an attempt → its job.
        limits: limits of jobs.
    """

    def __init__(self, context: CoordinatorContext) -> None:
        self._context = context
        self.limits = Limits(context.assignment.problem.plan)
        self.queued: deque[TrialJob] = deque()
        self.running: dict[str, TrialJob] = {}

    @property
    def idle(self) -> bool:
        """Whether there is no open job."""
        return not self.queued and not self.running

    def restore(self, open_job: OpenJob, *, first: bool = False) -> None:
        """Queue a stored job, behind or in front of all others."""
        add = self.queued.appendleft if first else self.queued.append
        step = open_job.kind, open_job.target
        add(TrialJob(self._trial(open_job), step, open_job.job_id, open_job.attempt))

    def _trial(self, open_job: OpenJob) -> OpenTrial:
        return OpenTrial.restored(open_job, original=open_job.number == self._context.assignment.original)

    def requeue(self, job: TrialJob, reason: str) -> None:
        """Put an interrupted job back at the front of the queue."""
        self._context.store.write(requeue_job, job.job_id, job.attempt, reason)
        self.queued.appendleft(TrialJob(job.trial, job.step, job.job_id, job.attempt))

    def dispatch(self) -> Iterator[tuple[TrialJob, Mapping[str, Any]]]:
        """Start all jobs that can start; yield jobs that need not run with their results, to be committed at once.

        At the end, the round is written, and workers get their jobs.
        """
        starting: list[TrialJob] = []
        taken = Counter[str]()
        waiting: list[TrialJob] = []
        while self.queued:  # whoever takes a known result may put the next job of its trial in front
            job = self.queued.popleft()
            if (known := self._known(job.trial, job.step)) is not None:
                self._start(job)
                yield job, known
            elif not self._context.faults.is_paused(job.job_id) and self._ready(job.step, taken):
                self._start(job)
                starting.append(job)
                taken[pool_of(job.step)] += 1
            else:
                waiting.append(job)
        self.queued.extend(waiting)
        self._context.store.flush()
        for job in starting:
            self._submit(job)

    def forget(self, undone: set[tuple[int, Step]]) -> None:
        """Remove results of (candidate, step) that are no longer valid from open trials."""
        open_trials = [job.trial for job in (*self.queued, *self.running.values())]
        for trial in open_trials:
            for candidate_id, step in undone:
                if trial.candidate_id == candidate_id:
                    trial.results.pop(step, None)

    def cancel(self) -> list[OpenTrial]:
        """Cancel all jobs, and return their trials."""
        for key in self.running:
            self._context.executor.cancel(key)
        open_trials = [job.trial for job in (*self.running.values(), *self.queued)]
        self.running.clear()
        self.queued.clear()
        return open_trials

    def _start(self, job: TrialJob) -> None:
        self._context.store.start(job)
        job.started = time.monotonic()
        if job.trial.state == "queued":
            self._context.progress.moved("queued", "running")
            job.trial.state = "running"

    def _submit(self, job: TrialJob) -> None:
        context, step = self._context, job.step
        key = f"{job.job_id}.{job.attempt}"
        self.running[key] = job
        context.executor.submit(
            Job(
                key,
                OF_KIND[kind_of(step)].name,
                payload_of(context.store, context.assignment, job.trial, step, context.latencies.prefixes(step[1])),
                pool_of(step),
                self.limits.of(step),
                written_folders(context.assignment),
            )
        )

    def _ready(self, step: Step, taken: Mapping[str, int]) -> bool:
        """Whether a worker is free, and the target, if any, may be measured on; ``taken``: pool → its next jobs."""
        executor, pool = self._context.executor, pool_of(step)
        if executor.free(pool) <= taken[pool] or executor.turns_with(pool) & taken.keys():
            return False
        if not step[1]:
            return True
        canaries = self._context.canaries
        if canaries.due(step[1]) or not canaries.may_measure(step[1]):
            return False
        canaries.handed_out(step[1])
        return True

    def _known(self, trial: OpenTrial, step: Step) -> Mapping[str, Any] | None:
        """Return the result of a step if its dense twin (in this study) or structure (in any study) is known."""
        kind, target = step
        twins = self._context.progress.twins
        if kind == "twin" and (twin_of(trial), target) in twins:
            return {"latency": twins[twin_of(trial), target]}
        if kind == "measure" and not is_audit(self._context.assignment.problem, trial):
            structure_hash = trial.trained["structure_hash"]
            latency = self._context.latencies.answer(target, structure_hash)
            return latency and {"structure_hash": structure_hash, "latency": latency}
        return None


def trainings(running: Iterable[TrialJob], num_epochs: int) -> str:
    """Return text such as ``trial 3: epoch 4 of 30, 12 min left; …``; empty before any epoch has ended."""
    return "; ".join(
        f"trial {job.trial.number}: epoch {job.epoch} of {last}, {duration((last - job.epoch) * job.epoch_s)} left"
        for job in running
        if job.epoch
        for last in [epochs_of(job.step) if kind_of(job.step) == RUNG else num_epochs]
    )


def duration(seconds: float) -> str:
    """Return a duration as text: ``40 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
