"""Stored targets: described and calibrated once, and used by many plans by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

from nas.errors import PlanError, StudyError, UnknownNameError
from nas.latency.agent.remote import open_measurer
from nas.latency.protocol.canary import Health
from nas.latency.targets import Target, TargetSpec
from nas.registry import nearest
from trials.executors import EXECUTORS, Executor
from trials.plans.plan import MeasurePlan, Named, Plan, TargetPlan, make_plan
from trials.plans.pools import measuring_pool
from trials.store.read.rows import find_target, target_rows
from trials.store.store import Store
from trials.store.write.targets import add_target, remove_target
from trials.targets.calibration import calibrate, run_canary

#: Facts that must be equal in two calibrations of a target, so that their latencies can be compared.
FIXED = ("processor", "flags", "runtime_version")
#: Largest drift of a target that is fit; equal to the default of plans.
MAX_DRIFT = MeasurePlan().max_drift


def with_stored_targets(plan: Plan, store: Store) -> Plan:
    """Return the plan with each target that has only a name replaced by the stored target of this name, if any.

    Raises:
        PlanError: the stored targets can't be combined in one plan.
    """
    found = [_stored(item, store) if _is_name(item) else item for item in plan.targets]
    return make_plan(plan.model_copy(update={"targets": tuple(found)}).to_json())


def names_targets(plan: Plan) -> bool:
    """Whether a plan has a target with nothing but a name."""
    return "targets" in plan.model_fields_set and any(map(_is_name, plan.targets))


def add(store: Store, spec: TargetSpec, cluster: str | None = None) -> Target:
    """Calibrate a target on its machine, and store it.

    Args:
        store: store to add it to.
        spec: description of the target; with an address, it is measured through the agent there.
        cluster: address of a Ray cluster with a node that has the resource ``target:<name>``.

    Raises:
        PlanError: a target of this name exists, or settings of the description contradict each other.
        UnreachableError: the target's agent does not answer.
        MeasureError, JobError: the target can't be calibrated.
    """
    if store.read(find_target, spec.name) is not None:
        raise PlanError(
            f"target {spec.name!r} exists; choose another name, or remove it with nas targets remove {spec.name}"
        )
    target = _calibrated(spec, cluster)
    store.write(add_target, spec.name, target.to_json(), dict(target.references))
    return target


@dataclass(frozen=True)
class Check:
    """The result of a canary and a new calibration of a stored target."""

    health: Health
    #: New over stored times of its reference models: median, fastest and slowest model.
    ratio: tuple[float, float, float]
    #: Other facts that have changed: key → (then, now).
    changed: Mapping[str, tuple[Any, Any]]

    @property
    def problems(self) -> list[str]:
        """Reasons why a study with default settings would not or should not measure on it; empty if it is fit."""
        found = [self.health.problem(MAX_DRIFT)]
        found += [
            f"{key} was {then} and is {now}, so old and new latencies can't be compared"
            for key, (then, now) in self.changed.items()
        ]
        return [problem for problem in found if problem]


def check(store: Store, name: str, cluster: str | None = None) -> Check:
    """Run a canary on a stored target, then calibrate it again and compare; nothing is stored.

    Raises:
        UnknownNameError: no target has this name.
        UnreachableError: the target's agent does not answer.
    """
    before = Target.from_json(_known(store, name))
    health, now = _checked(before, cluster)
    ratios = [now.references[rung] / time_ms for rung, time_ms in before.references.items() if rung in now.references]
    pairs = {key: (before.description.get(key), now.description.get(key)) for key in FIXED}
    changed = {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
    return Check(health, (median(ratios), min(ratios), max(ratios)), changed)


def remove(store: Store, name: str) -> None:
    """Remove a target that has no measurements.

    Raises:
        UnknownNameError: no target has this name.
        StudyError: the target has measurements.
    """
    _known(store, name)
    count = store.write(remove_target, name)
    if count:
        raise StudyError(
            f"target {name!r} has {count} measurements; delete their studies first, or keep it and add another target"
        )


def _is_name(item: TargetPlan) -> bool:
    return item.model_fields_set == {"name"}


def _stored(item: TargetPlan, store: Store) -> TargetPlan:
    row = store.read(find_target, item.name)
    if row is None:
        return item
    spec = TargetSpec.from_json(row.description["spec"]).to_json()
    return TargetPlan(runtime=Named(name=spec.pop("runtime"), **spec.pop("parameters")), **spec)


def _known(store: Store, name: str) -> dict[str, Any]:
    row = store.read(find_target, name)
    if row is None:
        names = [item.name for item in store.read(target_rows)]
        stored = f"stored targets: {', '.join(names) or 'none yet; add one with nas targets add'}"
        raise UnknownNameError(f"no target {name!r}{nearest(name, names, stored)}")
    return row.description


def _calibrated(spec: TargetSpec, cluster: str | None) -> Target:
    if cluster is None:
        with open_measurer(spec) as measurer:
            return measurer.calibrate()
    with _measuring_at(spec, cluster) as executor:
        return Target.from_json(calibrate(executor, spec))


def _checked(target: Target, cluster: str | None) -> tuple[Health, Target]:
    """Return a target's health and a new calibration; the canary runs before the calibration loads the target."""
    if cluster is None:
        with open_measurer(target.spec) as measurer:
            return measurer.health(target, MAX_DRIFT), measurer.calibrate()
    with _measuring_at(target.spec, cluster) as executor:
        return run_canary(executor, target, MAX_DRIFT), Target.from_json(calibrate(executor, target.spec))


@contextmanager
def _measuring_at(spec: TargetSpec, cluster: str) -> Iterator[Executor]:
    """Open an executor with one worker, on the cluster node that has the target's resource."""
    executor = EXECUTORS.get("ray_actors")([measuring_pool(spec, local=False)], address=cluster)
    try:
        yield executor
    finally:
        executor.close()
