"""The pools of workers that a plan needs, and the cores they are bound to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from urllib.parse import urlsplit

from nas.errors import MeasureError
from nas.latency.machine.affinity import measuring_cores, training_cores
from nas.latency.targets import TargetSpec
from trials.executors import TRAIN_POOL, Pool, target_pool
from trials.plans.machine import gpus_here
from trials.plans.plan import Plan
from trials.plans.problem import target_specs

#: What a study takes of the resource ``target:<name>`` of a cluster's node, which has 1 of it. Measurements of several
#: studies exclude one another by the lock of the measuring cores, not by this resource.
SHARE = 0.01


def pools(plan: Plan, *, local: bool) -> Sequence[Pool]:
    """Return the pool of training workers and one pool for each target.

    Args:
        plan: the plan.
        local: whether the workers run on this machine; else they run on a Ray cluster.

    On this machine, training workers do not use the cores that a target is measured on. If no other core is left, they
    use all cores and take turns with measuring. On a cluster, the jobs of a target run on a node that has the resource
    ``target:<name>``; the jobs of a target with an agent run on any node.

    Raises:
        MeasureError: this machine lacks a target's core, or has fewer cores than a target has threads.
    """
    specs = list(target_specs(plan).values())
    measuring = [measuring_pool(spec, local=local, wait_s=_wait_s(plan)) for spec in specs]
    return [_training_pool(plan, specs, local=local), *measuring]


def measuring_pool(spec: TargetSpec, *, local: bool, wait_s: float | None = None) -> Pool:
    """Return the pool of a target; it has one worker, which shares the target with those of other studies."""
    name = target_pool(spec.name)
    elsewhere = {} if local or spec.address else {name: SHARE}
    cpus = 0 if spec.address and not local else spec.threads  # a cluster's worker for an agent mostly waits
    return Pool(name, size=1, cpus=cpus, cores=_cores(spec) if local else (), resources=elsewhere, wait_s=wait_s)


def _training_pool(plan: Plan, specs: Sequence[TargetSpec], *, local: bool) -> Pool:
    train = plan.resources.train
    if not local:
        keeps_off = {target_pool(spec.name): (spec.core, spec.threads) for spec in specs if spec.address is None}
        size = plan.concurrency or 1
        memory_bytes = math.ceil((train.max_memory_mb or 0) * 1e6)
        return Pool(
            TRAIN_POOL,
            size,
            train.cpus,
            train.gpus,
            memory_bytes=memory_bytes,
            keeps_off=keeps_off,
            wait_s=_wait_s(plan),
        )
    here = [spec for spec in specs if _is_here(spec)]
    measured_on = {core for spec in here for core in _measured_on(spec)}
    cores = tuple(training_cores(measured_on))
    turns = frozenset(target_pool(spec.name) for spec in here) if measured_on & set(cores) else frozenset()
    size = plan.concurrency or _default_size(len(cores), train.cpus, train.gpus)
    return Pool(TRAIN_POOL, size, train.cpus, train.gpus, cores=cores, turns_with=turns, wait_s=_wait_s(plan))


def _default_size(num_cores: int, cpus: float, gpus: float) -> int:
    """Return how many trainings this machine can run at the same time, at least one."""
    fitting = int(num_cores // max(cpus, 1))
    return max(1, min(fitting, int(gpus_here() // gpus)) if gpus else fitting)


def _wait_s(plan: Plan) -> float | None:
    return None if plan.resources.wait_minutes is None else 60 * plan.resources.wait_minutes


def _is_here(spec: TargetSpec) -> bool:
    """Whether measuring the target uses a core of this machine."""
    return spec.address is None or urlsplit(spec.address).hostname in ("127.0.0.1", "::1", "localhost")


def _measured_on(spec: TargetSpec) -> tuple[int, ...]:
    """Return the cores of this machine that a target is measured on."""
    try:
        return measuring_cores(spec.core, spec.threads)
    except MeasureError:
        if spec.address is None:
            raise
        return ()  # its agent may use cores that this process may not use


def _cores(spec: TargetSpec) -> tuple[int, ...]:
    """Return the cores of a target's worker; the worker of a target with an agent only exports and waits."""
    if spec.address is not None:
        return tuple(training_cores(_measured_on(spec) if _is_here(spec) else ()))
    return measuring_cores(spec.core, spec.threads)
