"""Targets by name: described once, calibrated once, named by many plans."""

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

#: What a calibration must share with a later one for their latencies to be compared.
FIXED = ("processor", "flags", "runtime_version")
#: Drift of a target that is fit: what plans allow by default.
MAX_DRIFT = MeasurePlan().max_drift


def with_stored_targets(plan: Plan, store: Store) -> Plan:
    """A plan whose targets of nothing but a name are what is stored under it, if anything is.

    Raises:
        PlanError: what is stored does not fit together in one plan.
    """
    found = [_stored(item, store) if _is_name(item) else item for item in plan.targets]
    return make_plan(plan.model_copy(update={"targets": tuple(found)}).to_json())


def names_targets(plan: Plan) -> bool:
    """Whether a plan says of a target nothing but its name."""
    return "targets" in plan.model_fields_set and any(map(_is_name, plan.targets))


def add(store: Store, spec: TargetSpec, cluster: str | None = None) -> Target:
    """Calibrate a target where it is, and remember it.

    Args:
        store: where.
        spec: how to measure; with an address, through the agent there.
        cluster: address of a Ray cluster, one node of which offers ``target:<name>``.

    Raises:
        PlanError: the name is taken, or the description does not fit together.
        UnreachableError: its agent does not answer.
        MeasureError, JobError: it can't be calibrated.
    """
    if store.read(find_target, spec.name) is not None:
        raise PlanError(f"there is a target {spec.name!r}; give another name, or nas targets remove {spec.name}")
    target = _calibrated(spec, cluster)
    store.write(add_target, spec.name, target.to_json(), dict(target.references))
    return target


@dataclass(frozen=True)
class Check:
    """A stored target, checked by a canary and calibrated once more."""

    health: Health
    #: Time of its reference models over what it was: median, fastest, slowest rung.
    ratio: tuple[float, float, float]
    #: What else is not as it was: key → (then, now).
    changed: Mapping[str, tuple[Any, Any]]

    @property
    def problems(self) -> list[str]:
        """Why a study would not measure on it as plans have it by default, or should not; empty if it is fit."""
        found = [self.health.problem(MAX_DRIFT)]
        found += [
            f"{key} was {then}, is {now}: latencies from then and now do not compare"
            for key, (then, now) in self.changed.items()
        ]
        return [problem for problem in found if problem]


def check(store: Store, name: str, cluster: str | None = None) -> Check:
    """Run a canary on a stored target, then calibrate it again and compare; nothing is written.

    Raises:
        UnknownNameError: there is none of that name.
        UnreachableError: its agent does not answer.
    """
    before = Target.from_json(_known(store, name))
    health, now = _checked(before, cluster)
    ratios = [now.references[rung] / time_ms for rung, time_ms in before.references.items() if rung in now.references]
    pairs = {key: (before.description.get(key), now.description.get(key)) for key in FIXED}
    changed = {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
    return Check(health, (median(ratios), min(ratios), max(ratios)), changed)


def remove(store: Store, name: str) -> None:
    """Forget a target that nothing was measured on.

    Raises:
        UnknownNameError: there is none of that name.
        StudyError: measurements are about it.
    """
    _known(store, name)
    count = store.write(remove_target, name)
    if count:
        raise StudyError(
            f"{count} measurements are about target {name!r}; delete their studies first, or leave it and add another"
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
        stored = f"stored are: {', '.join(names) or 'none yet, nas targets add'}"
        raise UnknownNameError(f"no target {name!r}{nearest(name, names, stored)}")
    return row.description


def _calibrated(spec: TargetSpec, cluster: str | None) -> Target:
    if cluster is None:
        with open_measurer(spec) as measurer:
            return measurer.calibrate()
    with _measuring_at(spec, cluster) as executor:
        return Target.from_json(calibrate(executor, spec))


def _checked(target: Target, cluster: str | None) -> tuple[Health, Target]:
    """Its health, before it is made to work hard, and a new calibration."""
    if cluster is None:
        with open_measurer(target.spec) as measurer:
            return measurer.health(target, MAX_DRIFT), measurer.calibrate()
    with _measuring_at(target.spec, cluster) as executor:
        return run_canary(executor, target, MAX_DRIFT), Target.from_json(calibrate(executor, target.spec))


@contextmanager
def _measuring_at(spec: TargetSpec, cluster: str) -> Iterator[Executor]:
    """A worker on the node that offers the target."""
    executor = EXECUTORS.get("ray_actors")([measuring_pool(spec, local=False)], address=cluster)
    try:
        yield executor
    finally:
        executor.close()
