"""The sequence of jobs of one candidate (gate, train, measure, twin), and what ends it early.

These are pure functions without database and workers: from a job's result they derive what to record and what is next.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from nas.seeds import generator_seed
from nas.strategies import Limit
from trials.executors import TRAIN_POOL, target_pool
from trials.jobs import messages
from trials.jobs.messages import (
    GATE,
    MEASURE,
    TRAIN,
    GateResult,
    LatencyResult,
    MeasureResult,
    RungResult,
    TrainResult,
    TwinRecord,
)
from trials.jobs.metrics import target_metrics
from trials.plans.problem import Problem
from trials.store.records import ArtifactValue, JobResult, MeasurementValue, MetricValue

#: (kind, target); the target is empty for jobs that do not depend on a target.
Step = tuple[str, str]
Metrics = Mapping[tuple[str, str], MetricValue]
TRAINING: Step = ("train", "")
#: Kind of a job that trains up to a rung; the row says up to which epoch, as in ``rung-9``.
RUNG = "rung"
NOT_CHOSEN = "not trained: the strategy chose other candidates"


@dataclass
class OpenTrial:
    """The evaluation of one candidate: the candidate, and the results of its jobs so far."""

    #: Id of its row; 0 until the round that proposes it is written.
    candidate_id: int
    number: int
    identity: str
    architecture: Mapping[str, Any]
    state: str = "queued"
    results: dict[Step, Mapping[str, Any]] = field(default_factory=dict)
    #: ``(name, target)`` → (value, low, high).
    metrics: dict[tuple[str, str], MetricValue] = field(default_factory=dict)
    #: Whether the candidate is the original; a limit does not end it early.
    original: bool = False
    #: Whether it is trained without being chosen among the measured candidates.
    enqueued: bool = False

    @classmethod
    def restored(cls, row: Any, *, original: bool) -> OpenTrial:
        """Return the trial of a stored open job (``open_jobs``)."""
        known = row.state, row.results, row.metrics
        return cls(row.candidate_id, row.number, row.identity, row.architecture, *known, original)

    @property
    def trained(self) -> TrainResult:
        """The result of its training."""
        return TRAIN.result(self.results[TRAINING])


@dataclass(eq=False)
class TrialJob:
    """A job of a trial: it waits for a worker, or a worker runs it."""

    trial: OpenTrial
    step: Step
    #: Id of its row; 0 until the round that adds it is written.
    job_id: int = 0
    #: Number of the last attempt that was started, and the time at which it started.
    attempt: int = 0
    started: float = 0.0
    #: The last epoch that a training has finished, and the seconds it took.
    epoch: int = 0
    epoch_s: float = 0.0


def pool_of(step: Step) -> str:
    """Return the pool of workers that runs a step."""
    return target_pool(step[1]) if step[1] else TRAIN_POOL


def kind_of(step: Step) -> str:
    """Return the kind of a step's job, for example ``remeasure`` for ``remeasure-2``."""
    return step[0].partition("-")[0]


def first_step(problem: Problem) -> Step:
    """Return the gate on the first target: measuring takes seconds, but training takes minutes to hours."""
    return "gate", problem.plan.targets[0].name


def next_step(problem: Problem, trial: OpenTrial) -> Step | None:
    """Return the next step of the trial, or None if it has no more."""
    targets = [target.name for target in problem.plan.targets]
    for target in targets:
        if ("gate", target) not in trial.results:
            return "gate", target
    if TRAINING not in trial.results:
        return next_training(problem, trial)
    for target in targets:
        if ("measure", target) not in trial.results and _measure_again(problem, trial, target):
            return "measure", target
    if twin_of(trial) != trial.identity:
        for target in targets:
            if ("twin", target) not in trial.results:
                return "twin", target
    return None


def next_training(problem: Problem, trial: OpenTrial) -> Step:
    """Return the next part of the training: up to the next rung, or to the end; the original waits at no rung."""
    rungs = () if trial.original else problem.rungs
    ahead = [step for epochs in rungs if (step := rung_step(epochs)) not in trial.results]
    return ahead[0] if ahead else TRAINING


def rung_step(epochs: int) -> Step:
    """Return the step that trains up to a rung."""
    return f"{RUNG}-{epochs}", ""


def epochs_of(step: Step) -> int:
    """Return the number of epochs of the rung that a step trains up to."""
    return int(step[0].removeprefix(f"{RUNG}-"))


def rung_metric(name: str, epochs: int) -> str:
    """Return the name under which a score at a rung is stored: ``accuracy_at_epoch_3``."""
    return f"{name}_at_epoch_{epochs}"


def is_training(step: Step) -> bool:
    """Whether a step is a part of the candidate's own training."""
    return kind_of(step) in (RUNG, TRAINING[0])


def continues(trial: OpenTrial, apart_from: Step = TRAINING) -> bool:
    """Whether a candidate's training has reached a rung, apart from the one that a given step trains up to."""
    return any(kind_of(step) == RUNG for step in trial.results if step != apart_from)


def twin_of(trial: OpenTrial) -> str:
    """Return the identity of a trained candidate's dense twin; it equals its own if no policy changed the candidate."""
    return trial.trained["twin"]


def after(
    problem: Problem, limits: Mapping[str, Limit], trial: OpenTrial, step: Step, result: Mapping[str, Any]
) -> JobResult:
    """Derive the rows to write, the candidate's state and the next step from a finished job.

    This adds the result and its metrics to ``trial``.
    """
    found = _recorded(trial, step, result)
    trial.results[step] = found.result
    trial.metrics.update({(metric.name, metric.target): metric for metric in found.metrics})
    broken = broken_limit(problem, limits, trial.metrics)
    following = None if broken and not trial.original else next_step(problem, trial)
    if following and is_training(following) and (waits := _waits(problem, trial)):
        return replace(found, candidate_state=waits[0], reason=waits[1])
    state = None if following else "infeasible" if broken else "complete"
    return replace(
        found,
        candidate_state=state,
        reason=broken if state == "infeasible" else None,
        next_jobs=[following] if following else [],
    )


def _waits(problem: Problem, trial: OpenTrial) -> tuple[str, str] | None:
    """Return the state in which a candidate waits for the next part of its training, and why; None if it does not."""
    reached = [epochs for epochs in problem.rungs if rung_step(epochs) in trial.results]
    if reached:
        return "paused", f"paused after {reached[-1]} epochs: continues if it is among the best there"
    return ("measured_only", NOT_CHOSEN) if problem.max_measured and not (trial.original or trial.enqueued) else None


def broken_limit(problem: Problem, limits: Mapping[str, Limit], metrics: Metrics) -> str | None:
    """Return why the candidate is certainly infeasible: even the better end of an interval violates a limit."""
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
    """Return limit → relative violation by the recorded value; at most 0 for a candidate that was not rejected."""
    found = {}
    for name, limit in limits.items():
        metric = metrics.get(problem.metric_key(name))
        if metric is not None:
            violation = limit.violation(metric.value)
            found[name] = violation if rejected else min(violation, 0.0)
    return found


def reject_above(problem: Problem, limits: Mapping[str, Limit], target: str) -> float | None:
    """Return the latency in milliseconds on a target above which a candidate is infeasible."""
    bounds = [
        limit.max
        for name, limit in limits.items()
        if limit.max is not None and problem.metric_key(name) == ("latency_ms", target)
    ]
    return min(bounds, default=None)


def _measure_again(problem: Problem, trial: OpenTrial, target: str) -> bool:
    if trial.trained["structure_hash"] != trial.results["gate", target]["structure_hash"]:
        return True
    return is_audit(problem, trial)


def is_audit(problem: Problem, trial: OpenTrial) -> bool:
    """Whether a trained candidate is measured again although its structure is unchanged."""
    return generator_seed("audit", trial.identity) % 10_000 < problem.plan.measure.audit * 10_000


def _recorded(trial: OpenTrial, step: Step, result: Mapping[str, Any]) -> JobResult:
    """Return the rows to store for a result, without its consequences for the trial."""
    kind, target = step
    if kind == "train":
        return _of_training(TRAIN.result(result))
    if kind_of(step) == RUNG:
        return _of_rung(messages.RUNG.result(result))
    if kind == "twin":
        return _of_twin(trial, target, result)
    if kind == "gate":
        return _of_gate(target, GATE.result(result))
    return _of_measuring(trial, target, MEASURE.result(result))


def _of_gate(target: str, result: GateResult) -> JobResult:
    latency = result["latency"]
    assert latency is not None, "a known structure has its stored latency by now"
    counted = [MetricValue(name, "", float(value)) for name, value in result["metrics"].items()]
    return JobResult(
        result={key: result[key] for key in ("metrics", "unscored", "structure_hash") if key in result},
        metrics=[*counted, *target_metrics(target, latency)],
        measurements=[measurement(target, "gate", result["structure_hash"], latency)],
    )


def _of_training(result: TrainResult) -> JobResult:
    intervals = result["intervals"]
    return JobResult(
        result=cast(Mapping[str, Any], result),
        metrics=[
            MetricValue(name, "", float(value), *intervals.get(name, (None, None)))
            for name, value in result["metrics"].items()
        ],
        artifacts=[ArtifactValue(**item) for item in result["artifacts"]],
    )


def _of_rung(result: RungResult) -> JobResult:
    return JobResult(
        result=cast(Mapping[str, Any], result),
        metrics=[
            MetricValue(rung_metric(name, result["epochs"]), "", float(value))
            for name, value in result["scores"].items()
        ],
    )


def _of_measuring(trial: OpenTrial, target: str, result: MeasureResult) -> JobResult:
    structure_hash, latency = result["structure_hash"], result["latency"]
    gate = trial.results.get(("gate", target))  # None: quarantined after a bad canary
    purpose = "audit" if gate and gate["structure_hash"] == structure_hash else "final"
    return JobResult(
        result={"structure_hash": structure_hash},
        metrics=target_metrics(target, latency),
        measurements=[measurement(target, purpose, structure_hash, latency)],
    )


def _of_twin(trial: OpenTrial, target: str, result: Mapping[str, Any]) -> JobResult:
    """Return the rows of a twin that was measured now or for another candidate, or could not be measured."""
    if "error" in result:
        return JobResult(result)
    latency = result["latency"]
    latency_ms, low_ms, high_ms = latency["latency_ms"], latency["low_ms"], latency["high_ms"]
    record: TwinRecord = {
        "twin": twin_of(trial),
        "latency": {"latency_ms": latency_ms, "low_ms": low_ms, "high_ms": high_ms},
    }
    return JobResult(
        result=cast(Mapping[str, Any], record),
        metrics=[MetricValue("dense_latency_ms", target, latency_ms, low_ms, high_ms)],
        measurements=[measurement(target, "twin", result["structure_hash"], latency)] if "samples" in latency else [],
    )


def measurement(target: str, purpose: str, structure_hash: str, latency: LatencyResult) -> MeasurementValue:
    """Return the row of a measurement."""
    return MeasurementValue(
        target=target,
        purpose=purpose,
        latency_ms=latency["latency_ms"],
        low_ms=latency["low_ms"],
        high_ms=latency["high_ms"],
        structure_hash=structure_hash,
        conditions={**latency["conditions"], "rejected": latency["rejected"]},
        samples=base64.b64decode(latency["samples"]),
        source_id=latency.get("answered_from"),
        trust="good" if "answered_from" in latency else "unverified",
    )
