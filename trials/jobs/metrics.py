"""Derive the metrics of a candidate on a target from a measurement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nas.errors import JobError, PlanError
from nas.latency.protocol.percentiles import percentiles
from nas.latency.protocol.samples import Samples
from trials.jobs.messages import LatencyResult, ValueAndInterval
from trials.plans.problem import Problem
from trials.store.records import MetricValue
from trials.store.target_metrics import LATENCY_PERCENTILES, TARGET_METRICS


def percentile_intervals(samples: Samples, reference_ms: float) -> dict[str, ValueAndInterval]:
    """Return metric → value and interval of each percentile of the latency."""
    found = percentiles(samples, reference_ms)
    return {name: (*found[percent],) for name, percent in LATENCY_PERCENTILES.items()}


def target_metrics(target: str, latency: LatencyResult) -> list[MetricValue]:
    """Return the metrics that a job's latency contains, without metrics that the target can't measure."""
    readings = {name: metric.read(latency) for name, metric in TARGET_METRICS.items()}
    return [
        MetricValue(name, target, float(value), low, high)
        for name, (value, low, high) in readings.items()
        if value is not None
    ]


def needed_metrics(problem: Problem, target: str) -> list[str]:
    """Return the metrics that a measurement on a target must report: those that are an objective or have a limit."""
    keys = [problem.metric_key(name) for name in (*problem.objectives, *problem.plan.limits)]
    return list(dict.fromkeys(name for name, place in keys if name in TARGET_METRICS and place == target))


def check_complete(target: str, latency: LatencyResult, needed: Iterable[str]) -> None:
    """Raise JobError if a measurement lacks a needed metric."""
    known = {metric.name for metric in target_metrics(target, latency)}
    for name in needed:
        if name not in known:
            raise JobError(
                f"target {target!r} did not report {name}: {TARGET_METRICS[name].why_not}; choose another objective or "
                "limit"
            )


def announced_metrics(problem: Problem, target: str) -> list[str]:
    """Return the needed metrics that not every target can measure; a canary finds out whether this one can."""
    return [name for name in needed_metrics(problem, target) if TARGET_METRICS[name].announced]


def check_readable(problem: Problem, target: str, health: Mapping[str, Any]) -> None:
    """Raise PlanError if an objective or limit is a metric that its target can't measure.

    Args:
        problem: the study's problem.
        target: name of the target.
        health: ``state`` that the target's canary found.
    """
    for name in announced_metrics(problem, target):
        if "readable" not in health:
            why = TARGET_METRICS["load_ms"].why_not
        elif name not in health["readable"]:
            why = TARGET_METRICS[name].why_not
        else:
            continue
        raise PlanError(f"target {target!r} can't measure {name}: {why}; choose another objective or limit")
