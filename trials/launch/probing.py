"""Measurements before a study starts: check targets, probe networks of the space, and resolve and check limits."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nas.errors import PlanError
from nas.latency.targets import Target
from nas.seeds import generator_seed
from nas.space import Network
from nas.space.chooser import PositionChooser, RandomChooser
from nas.strategies import Limit
from trials.executors import Executor, target_pool
from trials.jobs.messages import GATE
from trials.jobs.metrics import announced_metrics, check_readable, needed_metrics, target_metrics
from trials.plans.plan import Relative
from trials.plans.problem import Problem, bounds
from trials.targets.calibration import Says, run_canary, run_jobs, silent

#: Number of random candidates whose median represents the space.
NUM_PROBES = 15


@dataclass(frozen=True)
class Probe:
    """An untrained candidate and its metrics on every target."""

    choices: Mapping[str, Any]
    #: Metric key → value.
    metrics: Mapping[tuple[str, str], float]
    #: Metric key → lower end of its 95 % interval, where it has one.
    low: Mapping[tuple[str, str], float] = field(default_factory=dict)


def check_targets(
    executor: Executor, problem: Problem, targets: Mapping[str, Mapping[str, Any]], says: Says = silent
) -> None:
    """Check that each target can measure the metrics that the plan needs and that not every target can measure.

    Raises:
        PlanError: an objective or limit is a metric that its target can't measure.
        PlaceError: a target's device does not answer, or its core is in use.
    """
    for name, target in targets.items():
        if announced_metrics(problem, name):
            says(f"asking target {name} for its metrics")
            health = run_canary(executor, Target.from_json(target), problem.plan.measure.max_drift)
            check_readable(problem, name, health.state)


def probe(
    executor: Executor,
    problem: Problem,
    targets: Mapping[str, Any],
    networks: Sequence[Network],
    says: Says = silent,
) -> list[Probe]:
    """Build, deploy and measure untrained networks on every target; return one probe per network."""
    plan, measure = problem.plan.model_dump_json(), problem.plan.measure
    jobs = [
        GATE.job(
            f"probe.{index}.{name}",
            {
                "plan": plan,
                "architecture": network.architecture.to_json(),
                "seed": problem.plan.seed,
                "candidate": index,
                "identity": problem.identity(network),
                "target": target,
                "precision": measure.precision,
                "budget_s": measure.budget_s,
                "needed": needed_metrics(problem, name),
                "known": [],
                "reject_above_ms": None,
                "screen": True,
                "proxies": [],
            },
            target_pool(name),
        )
        for index, network in enumerate(networks)
        for name, target in targets.items()
    ]
    measured = run_jobs(
        executor, jobs, "probing limits", lambda done: says(f"probing limits: {done} of {len(jobs)} measurements")
    )
    results = iter(measured)
    probes = []
    for network in networks:
        metrics: dict[tuple[str, str], float] = {}
        low: dict[tuple[str, str], float] = {}
        for name in targets:
            result = GATE.result(next(results))
            assert result["latency"] is not None, "no structure is known to a probe"
            found = target_metrics(name, result["latency"])
            metrics |= {(metric, ""): value for metric, value in result["metrics"].items()}
            metrics |= {(metric.name, name): metric.value for metric in found}
            low |= {(metric.name, name): metric.low for metric in found if metric.low is not None}
        probes.append(Probe(network.architecture.choices, metrics, low))
    return probes


def random_networks(problem: Problem, count: int = NUM_PROBES) -> list[Network]:
    """Return the random candidates that represent a space; they are equal for equal seeds of the plan."""
    seeds = [generator_seed("probe", problem.plan.seed, index) for index in range(count)]
    return [problem.searched.sample(RandomChooser(seed)) for seed in seeds]


def resolve_limits(
    executor: Executor, problem: Problem, targets: Mapping[str, Any], says: Says = silent
) -> dict[str, Limit]:
    """Return the plan's limits as numbers, checked against the smallest candidate of the space.

    Limits relative to a score of the original have no number yet, because the original is trained first.

    Raises:
        PlanError: no network can meet a limit.
    """
    if not problem.plan.limits:
        return {}
    kinds = _kinds(problem)
    networks = [problem.searched.sample(PositionChooser(0.0))]
    original = problem.untouched() if "original" in kinds else None
    networks += [original] if original else []
    networks += random_networks(problem) if "median" in kinds else []
    smallest, *others = probe(executor, problem, targets, networks, says)
    first = others.pop(0) if original else None
    resolved = relative_bounds(problem, others, first)
    check_feasible(problem, resolved, smallest)
    return resolved


def relative_bounds(problem: Problem, others: Sequence[Probe], original: Probe | None) -> dict[str, Limit]:
    """Return the plan's limits; relative ones are multiples of the median of ``others`` or of ``original``'s value."""

    def number(name: str, side: Relative) -> float | None:
        key = problem.metric_key(name)
        if side.relative_to == "median":
            return side.factor * statistics.median(item.metrics[key] for item in others)
        value = original.metrics.get(key) if original else None
        return None if value is None else side.factor * value

    return bounds(problem.plan.limits, number)


def check_feasible(problem: Problem, limits: Mapping[str, Limit], smallest: Probe) -> None:
    """Raise PlanError if not even the smallest network meets an upper limit."""
    for name, limit in limits.items():
        key = problem.metric_key(name)
        value = smallest.metrics.get(key)
        if value is not None and limit.max is not None and smallest.low.get(key, value) > limit.max:
            raise PlanError(
                f"limits: {name} at most {limit.max:.4g} can't be met, because the smallest network of this space "
                f"takes {value:.4g}; raise the limit or choose a space with smaller networks"
            )


def _kinds(problem: Problem) -> set[str]:
    """Return what the plan's limits are relative to: ``median``, ``original``, both or neither."""
    sides = [side for bound in problem.plan.limits.values() for side in (bound.min, bound.max)]
    return {side.relative_to for side in sides if isinstance(side, Relative)}
