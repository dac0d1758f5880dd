"""Run the canaries of a study: start those that are due, and handle their results."""

from __future__ import annotations

import logging

from nas.latency.protocol.canary import Health
from trials.coordinator.context import CoordinatorContext
from trials.executors import Event, target_pool
from trials.jobs.messages import CANARY, CanaryPayload
from trials.store.records import Reopened
from trials.store.write.trust import quarantine_measurements, verify_measurements

log = logging.getLogger(__name__)


class CanaryJobs:
    """The running canaries. ``key in canary_jobs`` is true for their jobs and false for jobs of candidates."""

    def __init__(self, context: CoordinatorContext) -> None:
        self._context = context
        #: Key of a canary's job → its target.
        self._under_way: dict[str, str] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._under_way

    @property
    def phase(self) -> str:
        """The targets that are being checked, in words; empty if there are none."""
        targets = ", ".join(dict.fromkeys(self._under_way.values()))
        return f"checking target {targets}" if targets else ""

    def start(self, *, over: bool) -> None:
        """Start a canary on each target where one is due; ``over``: no measurement will follow."""
        for target in self._context.assignment.targets:
            if self._context.canaries.due(target, final=over) and self._context.executor.free(target_pool(target)) > 0:
                self._submit(target)

    def heard(self, event: Event) -> Reopened | None:
        """Handle a canary's event: confirm the measurements since the last good one, or return them to be repeated."""
        if event.kind == "progress":
            return None
        target = self._under_way.pop(event.key)
        if event.kind != "done":
            self._context.canaries.failed(target, event.error)
            self._context.faults.of_place(target, f"the canary of target {target} could not run: {event.error}")
            return None
        self._context.faults.came_through(target)
        health = Health.from_json(CANARY.result(event.value)["health"])
        undone = self._judge(target, health)
        self._context.latencies.open(target, health.state["runtime_version"])
        return undone

    def cancel(self) -> None:
        """Cancel all running canaries."""
        for key in self._under_way:
            self._context.executor.cancel(key)
        self._under_way.clear()

    def _submit(self, target: str) -> None:
        given = self._context.assignment
        key = self._context.canaries.started(target)
        self._under_way[key] = target
        payload: CanaryPayload = {
            "target": given.targets[target],
            "limit": given.problem.plan.measure.max_drift,
        }
        self._context.executor.submit(CANARY.job(key, payload, target_pool(target)))

    def _judge(self, target: str, health: Health) -> Reopened | None:
        context, given = self._context, self._context.assignment
        if context.canaries.finished(target, health):
            context.store.write(verify_measurements, given.lease, target)
            return None
        undone = context.store.write(quarantine_measurements, given.lease, target)
        log.warning("target %s: %d measurements since it was last good are made again", target, undone.num_marked)
        return undone
