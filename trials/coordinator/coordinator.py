"""The coordinator of one study: propose, dispatch, commit, tell.

All its state is derived from the tables, so killing it loses only the jobs that are running. It runs in one thread, the
executor manages the workers, and the study's lease ensures that there is only one coordinator.
"""

from __future__ import annotations

import logging
import shutil
import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from nas.errors import JobError, PlaceError, StudyError
from trials.coordinator.assignment import Assignment
from trials.coordinator.canary_jobs import CanaryJobs
from trials.coordinator.context import CoordinatorContext
from trials.coordinator.dispatch import Dispatcher, trainings
from trials.coordinator.payloads import checkpoint_folder
from trials.coordinator.pipeline import (
    OpenTrial,
    TrialJob,
    after,
    continues,
    is_training,
    twin_of,
)
from trials.coordinator.progress import MEASURED_ONLY, PAUSED
from trials.coordinator.proposals import Proposals
from trials.coordinator.repeats import Repeats, after_repeat, is_repeat
from trials.coordinator.room import waits_for
from trials.coordinator.share import Share
from trials.coordinator.study_log import events
from trials.executors import Event, Executor
from trials.jobs.messages import EpochEnd
from trials.store.read.history import open_jobs
from trials.store.records import JobResult, Reopened
from trials.store.store import Store
from trials.store.write.jobs import fail_job, recover_jobs, stop_candidate
from trials.store.write.leases import renew_lease
from trials.store.write.repeats import reopen_twins
from trials.store.write.requests import Request, read_request

log = logging.getLogger(__name__)

#: Seconds after which a coordinator that has not renewed its lease counts as dead.
LEASE_S = 60.0
#: Seconds between two looks for requests to pause or stop.
REQUESTS_EVERY_S = 2.0


class Coordinator:
    """Runs one study to the end of its budget.

    ``on_update`` is called after every round with the coordinator, so that a display can read ``progress`` and
    ``totals``.

    Attributes:
        state: ``running``, and at the end the study's final state.
    """

    def __init__(
        self,
        store: Store,
        assignment: Assignment,
        executor: Executor,
        totals: Mapping[str, float],
        on_update: Callable[[Coordinator], None] = lambda coordinator: None,
    ) -> None:
        self._executor = executor
        self._context = context = CoordinatorContext.of(store, assignment, executor)
        self._store = context.store
        self.assignment = assignment
        self.problem = assignment.problem
        self.progress = context.progress
        self.totals = {"wall_s": 0.0, "train_s": 0.0, "trained": 0.0, **totals}
        self.state = "running"
        self._twins_tried = False
        self._on_update = on_update
        self._num_epochs = self.problem.estimator().num_epochs
        self._repeats = Repeats(context.store, assignment)
        self._canary_jobs = CanaryJobs(context)
        self._jobs = Dispatcher(context)
        self._proposals = Proposals(context, self._jobs)
        self._share = Share(context)
        self._ticked = self._renewed = self._looked = time.monotonic()
        self._request: Request | None = None
        #: What it waits for on a crowded cluster, in words.
        self._waits = ""

    @property
    def name(self) -> str:
        """The study's name."""
        return self.assignment.name

    @property
    def num_running(self) -> int:
        """Number of jobs that workers run."""
        return len(self._jobs.running)

    @property
    def num_left(self) -> int:
        """Number of trials in the budget that are not finished."""
        return self.problem.plan.budget.trials - self.progress.num_finished

    @property
    def phase(self) -> str | None:
        """The present long-running work in words, such as trainings and waiting for targets; None without any."""
        epochs = trainings(self._jobs.running.values(), self._num_epochs)
        told = (
            self._waits,
            self._share.phase,
            self.second_looks,
            self._context.canaries.waiting,
            epochs,
            self._canary_jobs.phase,
        )
        return "; ".join(filter(None, told)) or None

    @property
    def second_looks(self) -> str:
        """How many of the repeats at the end were started, in words; empty while candidates are searched."""
        return self._repeats.phase

    def show(self) -> None:
        """Call ``on_update``."""
        self._on_update(self)

    def run(self) -> str:
        """Search until the budget is used up; set and return the final state.

        It is ``complete`` or ``exhausted``, and ``paused`` or ``stopped`` after such a request.

        Raises:
            StudyError: another coordinator took over.
            PlaceError: a fault of the place lasted too long: a full disk, a target's device that does not answer.
                Nothing is lost.
            AllFailedError: the first candidates, or many in a row, failed with the same error.
        """
        try:
            self.state = self._search()
        finally:
            self._store.flush()  # what workers returned before an error is kept
        return self.state

    def _search(self) -> str:
        self._restore()
        final = None
        while True:
            if self._request == "pause":
                self._store.write(recover_jobs, self.assignment.lease)
                return "paused"
            if self._request == "stop":
                self._stop_all("the study was stopped")
                return "stopped"
            if self._out_of_time():
                self._stop_all("the wall-time budget is spent")
                return "complete"
            self._proposals.promote(last=bool(final))
            final = final or self._proposals.next()
            if final:
                if self._jobs.idle and self.progress.promotion(last=True) is None:
                    self._proposals.end_paused("others were better there when the budget was spent")
                self._repeat()
                self._time_twins()
            over = bool(final) and self._jobs.idle and not self.progress.paused and not self._repeats.waiting
            self._canary_jobs.start(over=over)
            for job, known in self._jobs.dispatch():
                self._commit(job, known)
            if final and over and self._context.canaries.settled():
                return final
            for event in self._executor.poll(0.5):
                self._handle(event)
            self._tick()
            self.show()

    def _restore(self) -> None:
        """Restore the state from the tables: queue running jobs again, and tell the strategy the history."""
        study_id = self.assignment.lease.study_id
        self._store.write(recover_jobs, self.assignment.lease)
        for open_job in self._store.read(open_jobs, study_id):
            self._jobs.restore(open_job)
        self._proposals.begin()
        self._proposals.settle_limits()
        self._share.begin()

    def _repeat(self) -> None:
        """Queue repeats of the most uncertain candidates, once all candidates are finished."""
        if not self._jobs.queued and all(is_repeat(job.step) for job in self._jobs.running.values()):
            for open_job in self._repeats.next_jobs(self._executor.free, self.num_running):
                self._jobs.restore(open_job)

    def _time_twins(self) -> None:
        """Queue dense twins again that could not be measured, once no other job is left."""
        if self._jobs.idle and not self._twins_tried:
            self._twins_tried = True
            for open_job in self._store.write(reopen_twins, self.assignment.lease):
                self._jobs.restore(open_job)

    # -- hear

    def _handle(self, event: Event) -> None:
        job = self._jobs.running.get(event.key)
        if event.key in self._canary_jobs:
            self._take_back(self._canary_jobs.heard(event))
        elif job and event.kind == "progress":
            self._note_progress(job, event.value)
        elif job:
            del self._jobs.running[event.key]
            self._ended(job, event)

    def _ended(self, job: TrialJob, event: Event) -> None:
        if event.kind == "done":
            self._context.faults.came_through(job.job_id)
            self._returned(job, event.value)
        elif event.kind == "place" or (event.kind == "lost" and self._is_unclear(job)):
            self._pause(job, event.error)
        else:
            self._context.faults.came_through(job.job_id)
            self._fail(job, event.error, event.traceback)

    def _pause(self, job: TrialJob, error: str) -> None:
        """Queue a job again that a fault of the place interrupted."""
        reason = f"trial {job.trial.number}, {job.step[0]}: {error}"
        about = {"candidate_id": job.trial.candidate_id}
        events.warning("%s, attempt %d: %s; it is tried again", job.step[0], job.attempt, error, extra=about)
        try:
            self._context.faults.of_place(job.job_id, reason, ran_s=time.monotonic() - job.started)
        except PlaceError:
            if job.step[0] != "twin":
                self._jobs.requeue(job, error)
                raise
            self._context.faults.came_through(job.job_id)
            self._fail(job, error, "")
        else:
            self._jobs.requeue(job, error)

    def _is_unclear(self, job: TrialJob) -> bool:
        return self._context.faults.is_unclear(job.job_id, healthy=not self._context.canaries.waiting)

    def _take_back(self, undone: Reopened | None) -> None:
        """Queue the measurements again that a bad canary quarantined, and let the strategy forget them."""
        if undone is None:
            return
        self._jobs.forget(undone.steps)
        for open_job in undone.queued:
            self._jobs.restore(open_job)
        self._proposals.begin()

    def _fail(self, job: TrialJob, reason: str, trace: str) -> None:
        if job.step[0] == "twin":  # the candidate itself is complete without its twin
            log.warning("the dense twin of trial %d could not be measured: %s", job.trial.number, reason)
            self._commit(job, {"error": reason})
        elif self._store.write(fail_job, job.job_id, job.attempt, reason, trace):
            if is_repeat(job.step):  # the candidate keeps its state
                log.warning("%s of trial %d failed: %s", job.step[0], job.trial.number, reason)
            else:
                about = {"candidate_id": job.trial.candidate_id}
                events.error("%s, attempt %d failed: %s", job.step[0], job.attempt, reason, extra=about)
                self._finish(job.trial, "failed")
                self._context.faults.ended(job.trial.number, reason, trace)

    def _note_progress(self, job: TrialJob, value: Mapping[str, Any]) -> None:
        if "epoch" in value:
            end = cast(EpochEnd, value)
            job.epoch, job.epoch_s = end["epoch"], end["values"].get("seconds", 0.0)
            self._store.end_epoch(job, end["epoch"], end["values"])

    # -- commit and tell

    def _returned(self, job: TrialJob, result: Mapping[str, Any]) -> None:
        """Commit the result of a worker; if it skipped a measurement, look up the stored latency."""
        if "latency" in result:
            target = job.step[1]
            latency = result["latency"] or self._context.latencies.answer(target, result["structure_hash"])
            if latency is None:  # it was deleted or quarantined in the meantime
                self._jobs.requeue(job, "the stored latency of its structure is no longer available")
                return
            result = {**result, "latency": self._context.canaries.noted(target, latency)}
        self._commit(job, result)

    def _commit(self, job: TrialJob, result: Mapping[str, Any]) -> None:
        """Commit a job's result and its consequences; then queue the trial's next step, or finish the trial."""
        trial, step = job.trial, job.step
        trial.enqueued = trial.number in self.progress.enqueued
        meaning = after_repeat if is_repeat(step) else after
        try:
            outcome = meaning(self.problem, self.assignment.limits, trial, step, result)
        except JobError as error:  # the result can't be stored, for example because it is not a number
            self._fail(job, f"JobError: {error}", traceback.format_exc())
            return
        self.totals = self._spent(job)
        following = [TrialJob(trial, next_step) for next_step in outcome.next_jobs]
        self._store.commit(job, outcome, following, self.totals)
        if is_repeat(step):
            self._revise(job, outcome.candidate_state)
            return
        self._learn(job, outcome)
        self._jobs.queued.extendleft(following)
        if outcome.candidate_state:
            self._finish(trial, outcome.candidate_state)
            self._context.faults.ended(trial.number, None)

    def _learn(self, job: TrialJob, outcome: JobResult) -> None:
        """Keep what a committed step says about other candidates: latencies, twins, training times."""
        trial, (kind, target) = job.trial, job.step
        for made in outcome.measurements:
            self._context.latencies.learn(made)
        if kind == "train":
            self._forget_checkpoint(job)
            self._jobs.limits.trained(time.monotonic() - job.started)
        elif kind == "gate":
            for proxy, reason in outcome.result.get("unscored", {}).items():
                log.warning("proxy %s could not score trial %d: %s", proxy, trial.number, reason)
        elif kind == "twin" and "latency" in outcome.result:
            self.progress.twins[twin_of(trial), target] = outcome.result["latency"]

    def _forget_checkpoint(self, job: TrialJob) -> None:
        """Remove the checkpoint of a training once its result is written."""
        folder = checkpoint_folder(self.assignment, job.trial, job.step)
        self._store.afterwards(partial(shutil.rmtree, folder, ignore_errors=True))

    def _revise(self, job: TrialJob, state: str | None) -> None:
        """Update the progress after a repeat of a complete candidate was committed."""
        self._forget_checkpoint(job)
        if state:
            self.progress.moved(job.trial.state, state)
            job.trial.state = state
        self.progress.revised(job.trial.number, job.trial.state, job.trial.metrics)

    def _finish(self, trial: OpenTrial, state: str) -> None:
        self.progress.moved(trial.state, state)
        trial.state = state
        if state == PAUSED:
            self._proposals.tell(self.progress.pauses(trial.number, trial.metrics))
        elif state == MEASURED_ONLY:
            self._proposals.tell(self.progress.only_measured(trial.number, trial.metrics))
        else:
            self._proposals.tell(self.progress.finished(trial.number, state, trial.metrics))
        if trial.original and state != "stopped":
            self._proposals.settle_limits()

    # -- time

    def _spent(self, job: TrialJob) -> dict[str, float]:
        """Return the totals including a job that is about to be committed."""
        self._pass_time()
        spent = dict(self.totals)
        if is_training(job.step):
            spent["trained"] += not continues(job.trial, apart_from=job.step)
            spent["train_s"] += time.monotonic() - job.started
        return spent

    def _pass_time(self) -> float:
        now = time.monotonic()
        if self.num_running or not self._context.faults.waiting:  # waiting for the place does not count
            self.totals["wall_s"] += now - self._ticked
        self._ticked = now
        for name, value in self._proposals.took.items():
            self.totals[name] = self.totals.get(name, 0.0) + value
        self._proposals.took.clear()
        return now

    def _tick(self) -> None:
        self._store.transactions.check_there()
        now = self._pass_time()
        if now - self._renewed > LEASE_S / 6:
            self._renewed = now
            self._waits = waits_for(self._store, self._executor, self.assignment.lease.study_id)
            if not self._store.write(renew_lease, self.assignment.lease, LEASE_S, self.totals, self.phase):
                raise StudyError("another coordinator took over this study; this one stops without writing")
            self._share.renew()
            self._proposals.read_enqueued()
        if now - self._looked > REQUESTS_EVERY_S:
            self._looked = now
            self._request = self._store.read(read_request, self.assignment.lease.study_id)

    def _out_of_time(self) -> bool:
        minutes = self.problem.plan.budget.wall_minutes
        return minutes is not None and self.totals["wall_s"] > 60 * minutes

    def _stop_all(self, reason: str) -> None:
        """End all trials under way without a result, those paused at a rung, too."""
        for trial in self._jobs.cancel():
            self._stop(trial, reason)
        self._canary_jobs.cancel()
        self._proposals.end_paused(reason)

    def _stop(self, trial: OpenTrial, reason: str) -> None:
        """End a candidate without a result; a complete candidate only loses its running repeat."""
        self._store.write(stop_candidate, self.assignment.lease, trial.number, reason)
        if trial.state != "complete":
            self._finish(trial, "stopped")
