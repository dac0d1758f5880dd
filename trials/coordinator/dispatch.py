"""The open jobs of a running study: those that wait for a worker, and those that a worker runs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trials.coordinator.context import CoordinatorContext
from trials.coordinator.limits import Limits, written_folders
from trials.coordinator.payloads import payload_of
from trials.coordinator.pipeline import RUNG, OpenTrial, Step, epochs_of, is_audit, kind_of, pool_of, twin_of
from trials.executors import Job
from trials.jobs.messages import OF_KIND
from trials.store.records import OpenJob
from trials.store.write.jobs import requeue_job, start_job


@dataclass
class Running:
    """A job that a worker runs."""

    job_id: int
    attempt: int
    trial: OpenTrial
    step: Step
    started: float
    #: The last epoch that a training has finished, and the seconds it took.
    epoch: int = 0
    epoch_s: float = 0.0


class Dispatcher:
    """Gives jobs to free workers, oldest first, and returns stored results for jobs that need not run.

    Attributes:
        queued: waiting jobs: id, trial, step.
        running: key of an attempt → its job.
        limits: limits of jobs.
    """

    def __init__(self, context: CoordinatorContext) -> None:
        self._context = context
        self.limits = Limits(context.assignment.problem.plan)
        self.queued: deque[tuple[int, OpenTrial, Step]] = deque()
        self.running: dict[str, Running] = {}

    @property
    def idle(self) -> bool:
        """Whether there is no open job."""
        return not self.queued and not self.running

    def restore(self, open_job: OpenJob, *, first: bool = False) -> None:
        """Queue a stored job, behind or in front of all others."""
        add = self.queued.appendleft if first else self.queued.append
        add((open_job.job_id, self._trial(open_job), (open_job.kind, open_job.target)))

    def _trial(self, open_job: OpenJob) -> OpenTrial:
        return OpenTrial.restored(open_job, original=open_job.number == self._context.assignment.original)

    def requeue(self, running: Running, reason: str) -> None:
        """Put an interrupted job back at the front of the queue."""
        self._context.store.write(requeue_job, running.job_id, running.attempt, reason)
        self.queued.appendleft((running.job_id, running.trial, running.step))

    def dispatch(self) -> Iterator[tuple[Running, Mapping[str, Any]]]:
        """Start all jobs that can start; yield jobs that need not run with their results, to be committed at once."""
        for _ in range(len(self.queued)):
            job_id, trial, step = self.queued.popleft()
            if (known := self._known(trial, step)) is not None:
                yield self._started(job_id, trial, step), known
            elif not self._context.faults.is_paused(job_id) and self._ready(step):
                self._submit(job_id, trial, step)
            else:
                self.queued.append((job_id, trial, step))

    def forget(self, undone: set[tuple[int, Step]]) -> None:
        """Remove results of (candidate, step) that are no longer valid from open trials."""
        open_trials = [trial for _, trial, _ in self.queued] + [running.trial for running in self.running.values()]
        for trial in open_trials:
            for candidate_id, step in undone:
                if trial.candidate_id == candidate_id:
                    trial.results.pop(step, None)

    def cancel(self) -> list[OpenTrial]:
        """Cancel all jobs, and return their trials."""
        for key in self.running:
            self._context.executor.cancel(key)
        open_trials = [running.trial for running in self.running.values()] + [trial for _, trial, _ in self.queued]
        self.running.clear()
        self.queued.clear()
        return open_trials

    def _started(self, job_id: int, trial: OpenTrial, step: Step) -> Running:
        attempt = self._context.store.write(start_job, self._context.assignment.lease, job_id)
        return Running(job_id, attempt, trial, step, time.monotonic())

    def _submit(self, job_id: int, trial: OpenTrial, step: Step) -> None:
        context = self._context
        running = self._started(job_id, trial, step)
        if trial.state == "queued":
            context.progress.moved("queued", "running")
            trial.state = "running"
        key = f"{job_id}.{running.attempt}"
        self.running[key] = running
        context.executor.submit(
            Job(
                key,
                OF_KIND[kind_of(step)].name,
                payload_of(context.store, context.assignment, trial, step, context.latencies.prefixes(step[1])),
                pool_of(step),
                self.limits.of(step),
                written_folders(context.assignment),
            )
        )

    def _ready(self, step: Step) -> bool:
        """Whether a worker is free, and the target, if any, may be measured on."""
        if self._context.executor.free(pool_of(step)) < 1:
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


def trainings(running: Iterable[Running], num_epochs: int) -> str:
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
