"""One candidate, a straight sequence of jobs: gate, train, measure, twin; and what ends it early.

Pure decisions, no database and no workers: given what a job returned, what is recorded and what comes next.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nas.seeds import generator_seed
from nas.strategies import Limit
from trials.jobs.metrics import needed_metrics, target_metrics
from trials.plans.problem import Problem
from trials.store.records import ArtifactValue, JobResult, MeasurementValue, MetricValue

#: (kind, target); the target is empty where none has a say.
Step = tuple[str, str]
Metrics = Mapping[tuple[str, str], MetricValue]
INTERVAL = ("latency_ms", "low_ms", "high_ms")


@dataclass
class OpenTrial:
    """The evaluation of one candidate: what it is and what its jobs returned so far."""

    candidate_id: int
    number: int
    identity: str
    architecture: Mapping[str, Any]
    state: str = "queued"
    results: dict[Step, Mapping[str, Any]] = field(default_factory=dict)
    #: ``(name, target)`` → (value, low, high).
    metrics: dict[tuple[str, str], MetricValue] = field(default_factory=dict)
    #: Whether it is the user's own network as it is: no limit ends it early.
    original: bool = False

    @classmethod
    def restored(cls, row: Any, *, original: bool) -> OpenTrial:
        """The trial of a stored open job (``Store.open_jobs``)."""
        known = row.state, row.results, row.metrics
        return cls(row.candidate_id, row.number, row.identity, row.architecture, *known, original)


def pool_of(step: Step) -> str:
    """The pool of workers a step runs in."""
    return f"target:{step[1]}" if step[1] else "train"


def function_of(step: Step) -> str:
    """What runs in a worker: of a repeated step, ``remeasure-2``, that of its kind."""
    kind = step[0].partition("-")[0]
    module = "trials.jobs.target" if kind == "canary" else "trials.jobs.candidate"
    return f"{module}:{kind}"


def first_step(problem: Problem) -> Step:
    """Measuring comes first: it costs seconds, training minutes to hours."""
    return "gate", problem.plan.targets[0].name


def next_step(problem: Problem, trial: OpenTrial) -> Step | None:
    """The first step of the trial that still has something to tell, or None at its end."""
    targets = [target.name for target in problem.plan.targets]
    for target in targets:
        if ("gate", target) not in trial.results:
            return "gate", target
    if ("train", "") not in trial.results:
        return "train", ""
    for target in targets:
        if ("measure", target) not in trial.results and _measure_again(problem, trial, target):
            return "measure", target
    if twin_of(trial) != trial.identity:
        for target in targets:
            if ("twin", target) not in trial.results:
                return "twin", target
    return None


def twin_of(trial: OpenTrial) -> str:
    """Identity of a trained candidate's dense twin; its own, if its policies changed nothing."""
    return str(trial.results[("train", "")]["twin"])


def after(
    problem: Problem, limits: Mapping[str, Limit], trial: OpenTrial, step: Step, result: Mapping[str, Any]
) -> JobResult:
    """What a finished job means: the rows to write, the candidate's state, the next step.

    Adds the result and its metrics to ``trial``.
    """
    trial.results[step] = slim = _kept(trial, step, result)
    metrics = _metrics(step, result)
    trial.metrics.update({(metric.name, metric.target): metric for metric in metrics})
    broken = broken_limit(problem, limits, trial.metrics)
    following = None if broken and not trial.original else next_step(problem, trial)
    state = None if following else "infeasible" if broken else "complete"
    return JobResult(
        result=slim,
        metrics=metrics,
        measurements=[_measurement(trial, step, result)] if "samples" in result.get("latency", {}) else [],
        artifacts=[ArtifactValue(**item) for item in result.get("artifacts", [])],
        candidate_state=state,
        reason=broken if state == "infeasible" else None,
        next_jobs=[following] if following else [],
    )


def broken_limit(problem: Problem, limits: Mapping[str, Limit], metrics: Metrics) -> str | None:
    """Why the candidate is infeasible, if it surely is: an interval rejects only by its better end."""
    for name, limit in limits.items():
        metric = metrics.get(problem.metric_key(name))
        if metric is None:
            continue
        low = metric.value if metric.low is None else metric.low
        high = metric.value if metric.high is None else metric.high
        if limit.max is not None and low > limit.max:
            return f"{name} {metric.value:.4g} is over the limit {limit.max:.4g}"
        if limit.min is not None and high < limit.min:
            return f"{name} {metric.value:.4g} is under the limit {limit.min:.4g}"
    return None


def violations(problem: Problem, limits: Mapping[str, Limit], metrics: Metrics, *, rejected: bool) -> dict[str, float]:
    """Limit → relative violation of what was recorded; at most 0 for a candidate that was not rejected."""
    found = {}
    for name, limit in limits.items():
        metric = metrics.get(problem.metric_key(name))
        if metric is not None:
            violation = limit.violation(metric.value)
            found[name] = violation if rejected else min(violation, 0.0)
    return found


def payload(
    problem: Problem, shared: Mapping[str, Any], limits: Mapping[str, Limit], trial: OpenTrial, step: Step
) -> dict[str, Any]:
    """What the job's function gets. ``shared`` is the study's part."""
    kind, target = step
    data = about(problem, shared, trial)
    if kind == "train":
        data["checkpoint"] = checkpoint_folder(shared, trial)
        return data
    data |= measuring(problem, shared, target)
    if kind == "twin":
        return data | {"twin": twin_of(trial)}
    if kind == "gate":
        return data | {"reject_above_ms": None if trial.original else reject_above(problem, limits, target)}
    return data | trained_file(problem, trial)


def about(problem: Problem, shared: Mapping[str, Any], trial: OpenTrial) -> dict[str, Any]:
    """What every job is told of its candidate."""
    return {
        "plan": shared["plan"],
        "candidate": trial.number,
        "identity": trial.identity,
        "architecture": trial.architecture,
        "original": trial.original,
        "seed": problem.plan.seed,
        "artifacts": shared["artifacts"],
        "data": shared.get("data"),
    }


def measuring(problem: Problem, shared: Mapping[str, Any], target: str) -> dict[str, Any]:
    """Where and how carefully a job measures."""
    return {
        "target": shared["targets"][target],
        "precision": problem.plan.measure.precision,
        "budget_s": problem.plan.measure.budget_s,
        "needed": needed_metrics(problem, target),
    }


def trained_file(problem: Problem, trial: OpenTrial) -> dict[str, Any]:
    """The file of a trained candidate, for a job to fetch."""
    trained = trial.results[("train", "")]
    model = next(item for item in trained["artifacts"] if item["kind"] == problem.exporter.format)
    return {"uri": model["uri"], "sha256": model["sha256"], "structure_hash": trained["structure_hash"]}


def checkpoint_folder(shared: Mapping[str, Any], trial: OpenTrial) -> str:
    """Where a candidate's training keeps its state until its result is committed."""
    return f"{shared['work']}/{trial.number}"


def reject_above(problem: Problem, limits: Mapping[str, Limit], target: str) -> float | None:
    """The latency on a target beyond which a candidate is infeasible."""
    bounds = [
        limit.max
        for name, limit in limits.items()
        if limit.max is not None and problem.metric_key(name) == ("latency_ms", target)
    ]
    return min(bounds, default=None)


def _measure_again(problem: Problem, trial: OpenTrial, target: str) -> bool:
    trained, gate = trial.results[("train", "")], trial.results[("gate", target)]
    if trained["structure_hash"] != gate["structure_hash"]:
        return True
    return is_audit(problem, trial)


def is_audit(problem: Problem, trial: OpenTrial) -> bool:
    """Whether a trained candidate of unchanged structure is measured again all the same."""
    return generator_seed("audit", trial.identity) % 10_000 < problem.plan.measure.audit * 10_000


def _kept(trial: OpenTrial, step: Step, result: Mapping[str, Any]) -> dict[str, Any]:
    """What later steps need of a result."""
    kind, _target = step
    slim = {key: value for key, value in result.items() if key not in ("latency", "artifacts")}
    if kind == "train":
        slim["artifacts"] = result["artifacts"]
    if kind == "twin" and "latency" in result:
        slim |= {"twin": twin_of(trial), "latency": {key: result["latency"][key] for key in INTERVAL}}
    return slim


def _metrics(step: Step, result: Mapping[str, Any]) -> list[MetricValue]:
    if step[0] == "twin":
        latency = result.get("latency")
        interval = [latency[key] for key in INTERVAL] if latency else None
        return [MetricValue("dense_latency_ms", step[1], *interval)] if interval else []
    intervals = result.get("intervals", {})
    found = [
        MetricValue(name, "", float(value), *intervals.get(name, (None, None)))
        for name, value in result.get("metrics", {}).items()
    ]
    latency = result.get("latency")
    if latency is not None:
        found += target_metrics(step[1], latency)
    return found


def _measurement(trial: OpenTrial, step: Step, result: Mapping[str, Any]) -> MeasurementValue:
    kind, target = step
    purpose = kind
    if kind == "measure":
        gate = trial.results.get(("gate", target), {})  # empty: taken back after a bad canary
        same = trial.results[("train", "")]["structure_hash"] == gate.get("structure_hash")
        purpose = "audit" if same else "final"
    return measurement(target, purpose, result)


def measurement(target: str, purpose: str, result: Mapping[str, Any]) -> MeasurementValue:
    """The row of a job that measured."""
    latency = result["latency"]
    return MeasurementValue(
        target=target,
        purpose=purpose,
        latency_ms=latency["latency_ms"],
        low_ms=latency["low_ms"],
        high_ms=latency["high_ms"],
        structure_hash=result["structure_hash"],
        conditions={**latency["conditions"], "rejected": latency["rejected"]},
        samples=base64.b64decode(latency["samples"]),
        source_id=latency.get("answered_from"),
        trust="good" if "answered_from" in latency else "unverified",
    )
