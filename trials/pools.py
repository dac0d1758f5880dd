"""The pools of workers that a plan takes, and the cores they are bound to."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from nas.latency.affinity import available_cores, measuring_core, training_cores
from nas.latency.targets import TargetSpec
from trials.executors import Pool
from trials.plan import Plan
from trials.problem import target_specs


def pools(plan: Plan, *, local: bool) -> Sequence[Pool]:
    """While this machine is a target, trainers are kept off its measuring core.

    On a cluster, a target's jobs run on a node that offers ``target:<name>``; those of an agent's target anywhere.
    """
    train = plan.resources.train
    specs = target_specs(plan).values()
    here = any(_is_here(spec) for spec in specs)
    cores = tuple(training_cores() if here else available_cores()) if local else ()
    size = plan.concurrency or max(1, int(len(cores or (0,)) // max(train.cpus, 1)))
    measuring = [measuring_pool(spec, local=local) for spec in specs]
    return [Pool("train", size=size, cpus=train.cpus, gpus=train.gpus, cores=cores), *measuring]


def measuring_pool(spec: TargetSpec, *, local: bool) -> Pool:
    """The one slot of a target."""
    name = f"target:{spec.name}"
    elsewhere = {} if local or spec.address else {name: 1.0}
    return Pool(name, size=1, cores=_cores(spec) if local else (), resources=elsewhere)


def _is_here(spec: TargetSpec) -> bool:
    """Whether measuring it takes a core of this machine."""
    return spec.address is None or urlsplit(spec.address).hostname in ("127.0.0.1", "::1", "localhost")


def _cores(spec: TargetSpec) -> tuple[int, ...]:
    """Of the workers that a target's jobs run in; an agent's only export and wait."""
    if spec.address is not None:
        return tuple(training_cores() if _is_here(spec) else available_cores())
    return (measuring_core() if spec.core is None else spec.core,)
