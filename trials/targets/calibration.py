"""Calibrate and check targets through an executor, on the machine of the target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nas.errors import JobError, PlaceError, PlanError
from nas.latency.protocol.canary import Health
from nas.latency.targets import Target, TargetSpec
from trials.executors import Executor, Job, target_pool
from trials.jobs.messages import CALIBRATE, CANARY
from trials.plans.problem import Problem, target_specs
from trials.store.read.rows import find_target
from trials.store.store import Store
from trials.store.write.targets import add_target

#: Called every second with the present phase, in words.
Says = Callable[[str], None]


def silent(phase: str) -> None:
    """Ignore the phase."""


def calibrate_targets(executor: Executor, store: Store, problem: Problem, says: Says = silent) -> dict[str, Any]:
    """Return target name → its JSON values; targets that are not stored yet are calibrated and added.

    Raises:
        PlanError: a target of this name is stored with another description.
        PlaceError: the target's device does not answer, or its core is in use.
    """
    targets = {}
    for name, spec in target_specs(problem.plan).items():
        known = store.read(find_target, name)
        if known is None:
            targets[name] = calibrate(executor, spec, says)
            store.write(add_target, name, targets[name], targets[name]["references"])
        elif not spec.is_measured_as(stored := TargetSpec.from_json(known.description["spec"])):
            raise PlanError(
                f"target {name!r} is stored with {stored.unlike(spec)}, but the plan gives it {spec.unlike(stored)}; "
                "give it another name in the plan"
            )
        else:
            targets[name] = {**known.description, "spec": spec.to_json()}
    return targets


def calibrate(executor: Executor, spec: TargetSpec, says: Says = silent) -> dict[str, Any]:
    """Measure a target's reference models on the target; return the target as JSON values."""
    job = CALIBRATE.job(f"calibrate.{spec.name}", {"spec": spec.to_json()}, target_pool(spec.name))
    what = f"calibrating target {spec.name!r}"
    (found,) = run_jobs(executor, [job], what, lambda done: says(what))
    return CALIBRATE.result(found)["target"]


def run_canary(executor: Executor, target: Target, limit: float) -> Health:
    """Run a canary on a target; ``limit``: largest drift at which the target counts as good."""
    name = target.spec.name
    job = CANARY.job(f"canary.{name}", {"target": target.to_json(), "limit": limit}, target_pool(name))
    (found,) = run_jobs(executor, [job], f"the canary of target {name}")
    return Health.from_json(CANARY.result(found)["health"])


def run_jobs(
    executor: Executor, jobs: Sequence[Job], what: str, on_wait: Callable[[int], None] = lambda done: None
) -> list[Mapping[str, Any]]:
    """Run jobs until all have ended, and return their results in the order of ``jobs``.

    Args:
        executor: executor that runs the jobs.
        jobs: jobs of any pools.
        what: description of the jobs for messages.
        on_wait: called every second with the number of finished jobs.

    Raises:
        JobError: a job failed; the error has the worker's traceback as a note.
        PlaceError: the place has a fault, for example a target's device does not answer.
    """
    waiting, results = list(jobs), dict[str, Mapping[str, Any]]()
    while len(results) < len(jobs):
        on_wait(len(results))
        for job in list(waiting):
            if executor.free(job.pool) > 0:
                executor.submit(job)
                waiting.remove(job)
        for event in executor.poll(1.0):
            if event.kind == "done":
                results[event.key] = event.value
            elif event.kind == "place":
                raise PlaceError(event.error)
            elif event.kind in ("error", "lost"):
                failure = JobError(f"{what} failed: {event.error or 'the worker was lost'}")
                failure.add_note(event.traceback)
                raise failure
    return [results[job.key] for job in jobs]
