"""The coordinator of one study: propose, dispatch, commit, tell.

Everything it knows is derived from the tables; killing it loses at most the seconds in flight. It runs in one thread,
workers are the executor's business, and the study's lease makes sure that there is one coordinator.
"""

from __future__ import annotations

import logging
import shutil
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nas.errors import JobError, StudyError, UnreachableError
from nas.latency.health import Health
from nas.space.graph import layers_of
from nas.strategies import Goal, Limit
from trials.confirmation import Confirmation, after_repeat, is_repeat, repeat_folder, repeat_payload
from trials.executors import Event, Executor, Job
from trials.health import Targets
from trials.measured import Measured
from trials.memory import Memory
from trials.pipeline import (
    Line,
    Step,
    after,
    checkpoint_folder,
    first_step,
    function_of,
    is_audit,
    payload,
    pool_of,
    reject_above,
    twin_of,
)
from trials.problem import Problem
from trials.store.records import ArchitectureValue, Duplicate, OpenJob
from trials.store.store import Store

log = logging.getLogger(__name__)

#: A coordinator that did not renew its lease for so long is dead.
LEASE_S = 60.0
JOB_LEASE_S = 600.0
#: Times a job is started before a candidate whose worker keeps dying counts as failed.
MAX_ATTEMPTS = 3
#: Times in a row that a target's device is missed before the study is left for later.
MAX_MISSED = 3
DUPLICATES_PER_TRIAL = 20


@dataclass(frozen=True)
class Assignment:
    """What a coordinator is given: a study it holds the lease of, resolved."""

    study_id: int
    epoch: int
    problem: Problem
    limits: Mapping[str, Limit]
    #: What every job's payload shares: plan (JSON text), study, artifacts, work, targets.
    shared: Mapping[str, Any]


@dataclass
class Running:
    """A job in a worker's hands."""

    job_id: int
    attempt: int
    line: Line
    step: Step
    started: float
    renewed: float


class Coordinator:
    """Runs one study to the end of its budget.

    ``on_update`` is called after every round with the coordinator itself: a display reads ``memory`` and ``totals``.
    """

    def __init__(
        self,
        store: Store,
        assignment: Assignment,
        executor: Executor,
        totals: Mapping[str, float],
        on_update: Callable[[Coordinator], None] = lambda coordinator: None,
    ) -> None:
        self.store = store
        self.executor = executor
        self.problem = assignment.problem
        self.assignment = assignment
        self.memory = Memory(self.problem, assignment.limits)
        self.totals = {"wall_s": 0.0, "train_s": 0.0, "trained": 0.0, "gated": 0.0, **totals}
        self._on_update = on_update
        self._strategy = self.problem.strategy(Goal(self.problem.objectives, assignment.limits), self.problem.plan.seed)
        self._confirmation = Confirmation(store, self.problem, self.name, assignment.study_id, assignment.epoch)
        self.health = Targets(self.problem.plan.measure, assignment.shared["targets"])
        self._measured = Measured(
            store,
            self.problem.plan.measure,
            assignment.shared["targets"],
            lambda target: reject_above(self.problem, assignment.limits, target),
        )
        #: Job of a look at a target → the target.
        self._looking: dict[str, str] = {}
        self._queued: deque[tuple[int, Line, Step]] = deque()
        self._running: dict[str, Running] = {}
        self._missed: Counter[str] = Counter()
        self._ticked = self._renewed = time.monotonic()

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.assignment.shared["study"])

    @property
    def num_running(self) -> int:
        """Jobs in workers' hands."""
        return len(self._running)

    @property
    def num_left(self) -> int:
        """Candidates of the budget that are not finished."""
        return self.problem.plan.budget.trials - self.memory.num_finished

    def run(self) -> str:
        """Search until the budget is spent; the final state, ``complete`` or ``exhausted``.

        Raises:
            StudyError: another coordinator took over.
            UnreachableError: a target's device is not there; nothing is lost, and the study can be resumed.
        """
        self._restore()
        final = None
        while True:
            final = final or self._propose()
            if final:
                self._confirm()
            over = not (self._running or self._queued or self._confirmation.waiting) and bool(final)
            self._look(over=over)
            self._dispatch()
            if final and over and self.health.settled():
                return final
            for event in self.executor.poll(0.5):
                self._handle(event)
            self._tick()
            if self._out_of_time():
                self._stop_all("the wall-time budget is spent")
                return "complete"
            self._on_update(self)

    def _restore(self) -> None:
        """Take up where the tables are: running jobs go back to the queue, the strategy hears the history."""
        study_id = self.assignment.study_id
        self.store.recover(study_id, self.assignment.epoch)
        for open_job in self.store.open_jobs(study_id):
            self._queue(open_job)
        self._strategy.observe(self.memory.restore(self.store.observations(study_id)))
        self.memory.twins |= self.store.twins(study_id)

    # -- propose

    def _propose(self) -> str | None:
        """Keep the first step's pool fed; the final state once there is nothing more to propose."""
        budget = self.problem.plan.budget
        most = budget.suggestions or DUPLICATES_PER_TRIAL * budget.trials
        while self.memory.num_candidates < budget.trials:
            number = self.memory.num_suggestions
            if number >= most or self._strategy.exhausted(number):
                return "exhausted"
            if not self._hungry():
                return None
            self._suggest()
        return "complete"

    def _hungry(self) -> bool:
        """Whether a new candidate would be worked on at once, and no other pool is far behind the first target."""
        waiting = Counter(pool_of(step) for _, _, step in self._queued)
        first = pool_of(first_step(self.problem))
        return waiting.pop(first, 0) < max(1, self.executor.free(first)) and max(waiting.values(), default=0) < 2

    def _suggest(self) -> None:
        number = self.memory.num_suggestions
        suggestion, network = self._strategy.propose(self.problem.searched.sample, number)
        architecture = describe(self.problem, network)
        step = first_step(self.problem)
        proposed = self.store.propose(self.assignment.study_id, self.assignment.epoch, suggestion, architecture, step)
        if isinstance(proposed, Duplicate):
            observation = self.memory.repeated(proposed.candidate_id, suggestion)
        else:
            observation = self.memory.proposed(proposed.candidate_id, suggestion)
            line = Line(proposed.candidate_id, proposed.number, architecture.identity, architecture.definition)
            self._queued.append((proposed.job_id, line, step))
        self._strategy.observe([observation])

    def _confirm(self) -> None:
        """Once all candidates are finished: second looks at contested ones."""
        steps = [*(step for *_, step in self._queued), *(running.step for running in self._running.values())]
        if all(map(is_repeat, steps)) and not self._queued:
            for open_job in self._confirmation.next_jobs(self.executor.free, self.num_running):
                self._queue(open_job)

    def _queue(self, open_job: OpenJob) -> None:
        self._queued.append((open_job.job_id, Line.restored(open_job), (open_job.kind, open_job.target)))

    # -- dispatch

    def _dispatch(self) -> None:
        """Hand queued jobs to free workers, oldest first."""
        for _ in range(len(self._queued)):
            job_id, line, step = self._queued.popleft()
            if (known := self._known(line, step)) is not None:
                self._take_over(job_id, line, step, known)
                continue
            if not self._ready(step):
                self._queued.append((job_id, line, step))
                continue
            attempt = self.store.start_job(job_id, JOB_LEASE_S, epoch=self.assignment.epoch)
            if line.state == "queued":
                self.memory.moved("queued", "running")
                line.state = "running"
            now = time.monotonic()
            key = f"{job_id}.{attempt}"
            self._running[key] = Running(job_id, attempt, line, step, now, now)
            self.executor.submit(Job(key, function_of(step), self._payload(line, step), pool_of(step)))

    def _payload(self, line: Line, step: Step) -> Mapping[str, Any]:
        if is_repeat(step):
            return repeat_payload(self.store, self.problem, self.assignment.shared, line, step)
        data = payload(self.problem, self.assignment.shared, self.assignment.limits, line, step)
        return data | {"known": self._measured.prefixes(step[1])} if step[0] in ("gate", "twin") else data

    def _ready(self, step: Step) -> bool:
        """Whether a worker is free, on a target that was found good."""
        if self.executor.free(pool_of(step)) < 1:
            return False
        if not step[1]:
            return True
        if self.health.due(step[1]) or not self.health.may_measure(step[1]):
            return False
        self.health.handed_out(step[1])
        return True

    def _known(self, line: Line, step: Step) -> Mapping[str, Any] | None:
        """The result of a step that need not be measured: a dense twin of this study, a structure of any."""
        kind, target = step
        if kind == "twin" and (twin_of(line), target) in self.memory.twins:
            return {"latency": self.memory.twins[twin_of(line), target], "taken_over": True}
        if kind == "measure" and not is_audit(self.problem, line):
            structure_hash = line.results["train", ""]["structure_hash"]
            latency = self._measured.answer(target, structure_hash)
            return latency and {"structure_hash": structure_hash, "latency": latency}
        return None

    def _take_over(self, job_id: int, line: Line, step: Step, known: Mapping[str, Any]) -> None:
        """Commit a job without running it."""
        attempt = self.store.start_job(job_id, JOB_LEASE_S, epoch=self.assignment.epoch)
        now = time.monotonic()
        self._commit(Running(job_id, attempt, line, step, now, now), known)

    # -- the targets' health

    def _look(self, *, over: bool) -> None:
        """Start a look at each target that is due for one; ``over``: nothing is left to measure."""
        for target in self.assignment.shared["targets"]:
            if self.health.due(target, final=over) and self.executor.free(f"target:{target}") > 0:
                key = self.health.look(target)
                self._looking[key] = target
                data = {
                    "target": self.assignment.shared["targets"][target],
                    "limit": self.problem.plan.measure.max_drift,
                }
                self.executor.submit(Job(key, function_of(("canary", target)), data, f"target:{target}"))

    def _looked(self, event: Event) -> None:
        """A look is done: what was measured since the last one is good, or is measured again."""
        target = self._looking.pop(event.key)
        if event.kind != "done":
            self.health.failed(target, event.error or "its worker was lost")
            return
        health = Health.from_json(event.value["health"])
        if self.health.looked(target, health):
            self.store.verify(self.assignment.study_id, self.assignment.epoch, target)
        else:
            self._undo(target)
        self._measured.open(target, health.state["runtime_version"])

    def _undo(self, target: str) -> None:
        """Take back what was measured on a target since the last good look."""
        reopened = self.store.quarantine(self.assignment.study_id, self.assignment.epoch, target)
        log.warning("target %s: %d measurements since it was last good are made again", target, reopened.num_marked)
        lines = [line for _, line, _ in self._queued] + [running.line for running in self._running.values()]
        for line in lines:
            for candidate_id, step in reopened.steps:
                if line.candidate_id == candidate_id:
                    line.results.pop(step, None)
        self.memory.twins = self.store.twins(self.assignment.study_id)
        for open_job in reopened.queued:
            self.memory.reopened(open_job.candidate_id, open_job.state)
            self._queue(open_job)

    # -- commit and tell

    def _handle(self, event: Event) -> None:
        if event.key in self._looking:
            if event.kind != "progress":
                self._looked(event)
            return
        running = self._running.get(event.key)
        if running is None:
            return
        if event.kind == "progress":
            self._progress(running, event.value)
            return
        del self._running[event.key]
        if event.kind == "done":
            self._missed[running.step[1]] = 0
            self._commit(running, event.value)
        elif event.kind == "unreachable":
            self._miss(running, event.error)
        elif event.kind == "lost" and running.attempt < MAX_ATTEMPTS:
            log.warning("job %s lost its worker; taking it up again", event.key)
            self._requeue(running, "the worker was lost")
        else:
            reason = event.error or f"its worker was lost {MAX_ATTEMPTS} times"
            self._fail(running, reason, event.traceback)

    def _requeue(self, running: Running, reason: str) -> None:
        self.store.requeue_job(running.job_id, running.attempt, reason)
        self._queued.appendleft((running.job_id, running.line, running.step))

    def _miss(self, running: Running, reason: str) -> None:
        """The candidate is not to blame: its job goes back, and if the device stays away, the study waits for it."""
        target = running.step[1]
        self._missed[target] += 1
        self._requeue(running, reason)
        if self._missed[target] >= MAX_MISSED:
            raise UnreachableError(
                f"{reason} That is {MAX_MISSED} times in a row; nothing is lost: mend it, then nas resume {self.name}"
            )
        log.warning("%s The measurement is taken up again", reason)

    def _fail(self, running: Running, reason: str, trace: str) -> None:
        if running.step[0] == "twin":  # the candidate itself is trained and measured
            log.warning("candidate %d is without its dense twin: %s", running.line.number, reason)
            self._commit(running, {"error": reason})
        elif self.store.fail_job(running.job_id, running.attempt, reason, trace):
            if is_repeat(running.step):  # the candidate stays what it is
                log.warning("%s of candidate %d failed: %s", running.step[0], running.line.number, reason)
            else:
                self._finish(running.line, "failed")

    def _progress(self, running: Running, value: Mapping[str, Any]) -> None:
        if "epoch" in value:
            self.store.add_epochs(
                running.line.candidate_id,
                running.job_id,
                running.attempt,
                [(value["epoch"], value["values"])],
            )
        now = time.monotonic()
        if now - running.renewed > JOB_LEASE_S / 10:
            self.store.renew_job(running.job_id, running.attempt, JOB_LEASE_S)
            running.renewed = now

    def _commit(self, running: Running, result: Mapping[str, Any]) -> None:
        line, (kind, target) = running.line, running.step
        if result.get("known"):
            latency = self._measured.answer(target, result["structure_hash"])
            if latency is None:  # it was deleted, or proved bad, meanwhile
                self.store.requeue_job(running.job_id, running.attempt, "what was known of its structure is gone")
                self._queued.appendleft((running.job_id, line, running.step))
                return
            result = {key: value for key, value in result.items() if key != "known"} | {"latency": latency}
        if target:
            result = self.health.noted(target, result)
        meaning = after_repeat if is_repeat(running.step) else after
        try:
            outcome = meaning(self.problem, self.assignment.limits, line, running.step, result)
        except JobError as error:  # a result that can't be recorded: not a number
            self._fail(running, f"JobError: {error}", traceback.format_exc())
            return
        committed = self.store.commit_job(running.job_id, running.attempt, outcome)
        if committed is None:
            return
        if is_repeat(running.step):
            self._revise(running, outcome.candidate_state)
            return
        if target:
            self._measured.learn(target, result)
        if kind == "train":
            shutil.rmtree(checkpoint_folder(self.assignment.shared, line), ignore_errors=True)
            self.totals["trained"] += 1
            self.totals["train_s"] += time.monotonic() - running.started
        elif kind == "gate" and outcome.candidate_state == "infeasible":
            self.totals["gated"] += 1
        elif kind == "twin" and "latency" in outcome.result:
            self.memory.twins[twin_of(line), target] = outcome.result["latency"]
        for job_id, step in zip(committed, outcome.next_jobs, strict=True):
            self._queued.appendleft((job_id, line, step))
        if outcome.candidate_state:
            self._finish(line, outcome.candidate_state)

    def _revise(self, running: Running, state: str | None) -> None:
        """A second look at a complete candidate was committed."""
        shutil.rmtree(repeat_folder(self.assignment.shared, running.line, running.step), ignore_errors=True)
        if state:
            self.memory.moved(running.line.state, state)
            running.line.state = state
        self.memory.revised(running.line.candidate_id, running.line.state, running.line.metrics)

    def _finish(self, line: Line, state: str) -> None:
        self.memory.moved(line.state, state)
        line.state = state
        self._strategy.observe(self.memory.finished(line.candidate_id, state, line.metrics))

    # -- time

    def _tick(self) -> None:
        now = time.monotonic()
        self.totals["wall_s"] += now - self._ticked
        self._ticked = now
        mean = self.totals["train_s"] / self.totals["trained"] if self.totals["trained"] else 0.0
        self.totals["training_saved_s"] = mean * self.totals["gated"]
        if now - self._renewed > LEASE_S / 6:
            self._renewed = now
            if not self.store.renew(self.assignment.study_id, self.assignment.epoch, LEASE_S):
                raise StudyError("another coordinator took over this study; this one ends without writing")

    def _out_of_time(self) -> bool:
        minutes = self.problem.plan.budget.wall_minutes
        return minutes is not None and self.totals["wall_s"] > 60 * minutes

    def _stop_all(self, reason: str) -> None:
        for key, running in self._running.items():
            self.executor.cancel(key)
            self._stop(running.line, reason)
        for _, line, _ in self._queued:
            self._stop(line, reason)
        for key in self._looking:
            self.executor.cancel(key)
        self._running.clear()
        self._queued.clear()
        self._looking.clear()

    def _stop(self, line: Line, reason: str) -> None:
        """End a candidate without a result; one that is complete loses the second look only."""
        self.store.stop_candidate(line.candidate_id, reason, epoch=self.assignment.epoch)
        if line.state != "complete":
            self._finish(line, "stopped")


def describe(problem: Problem, network: Any) -> ArchitectureValue:
    """A sampled network as its table row: its identity as it is trained, its layers as they ship."""
    graph = problem.trace(network)
    identity = problem.identity_of(graph, network)
    if network.policies:
        network.finalize()
        graph = problem.trace(network)
    rows = layers_of(graph, network.bits)
    return ArchitectureValue(
        identity=identity,
        space=problem.plan.space.name,
        definition=network.architecture.to_json(),
        parameters=sum(row["parameters"] for row in rows),
        macs=sum(row["macs"] for row in rows),
        layers=rows,
    )
