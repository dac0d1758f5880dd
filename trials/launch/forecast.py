"""Estimate the cost of a plan from measurements, before it is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from nas.space import Architecture, SearchSpace
from nas.space.chooser import PositionChooser
from nas.space.sampling import Searched
from nas.space.size import space_size
from nas.strategies import Limit
from nas.tasks import DataSummary, Task
from trials.coordinator.original import Original, original_of
from trials.executors import TRAIN_POOL, Executor
from trials.executors.local import LocalExecutor
from trials.jobs.doubts import few_steps
from trials.jobs.messages import SCORE, NetworkPayload
from trials.launch.probing import Probe, check_feasible, check_targets, probe, random_networks, relative_bounds
from trials.plans.machine import shortages
from trials.plans.plan import Plan
from trials.plans.pools import pools
from trials.plans.problem import Problem, open_problem, target_specs
from trials.plans.retention import RETENTIONS
from trials.plans.studies import study_specs
from trials.store.target_metrics import is_hidden
from trials.targets.calibration import calibrate, run_jobs

#: Bytes per parameter, in float32, of each file of a trained candidate: the deployed file and the weights.
BYTES_PER_WEIGHT = 4
#: Values per parameter in the checkpoint of a training that waits: the weight, and two of the optimizer.
CHECKPOINT_COPIES = 3


@dataclass(frozen=True)
class Forecast:
    """Size of the space, typical networks, resolved limits, and the estimated time and disk space of the study."""

    size: str
    #: ``network, parameters, macs, size_bytes, latency_ms …`` of the original, if the space holds one (with scores if
    #: its weights are complete), the smallest, a typical and the largest network.
    networks: list[dict[str, Any]]
    limits: Mapping[str, Limit]
    #: Share of random candidates that keep all limits.
    feasible_share: float
    hours: float
    disk_mb: float
    #: Epochs after which trainings are compared, and their expected share of the epochs of full trainings; None without
    #: halving.
    halving: str | None
    #: Messages about resources that the plan's trainings need and this machine lacks.
    shortages: list[str]
    #: Messages about reasons why the scores of the trainings are unreliable.
    doubts: list[str]
    #: Classes, examples, skipped files; None for tasks without a summary.
    data: DataSummary | None

    @property
    def remarks(self) -> list[str]:
        """Lines to print beneath the table of networks."""
        limits = ", ".join(f"{name} {sign}" for name, limit in self.limits.items() for sign in _sides(limit))
        share = (
            f"{self.feasible_share:.0%} of random candidates keep the limits that can be checked before the training"
        )
        return [
            f"limits: {limits}; {share}" if limits else "limits: none",
            f"about {self.hours:.2g} hours of wall time and at most {self.disk_mb:.0f} MB of disk",
            *([self.halving] if self.halving else []),
            *self.doubts,
            *(f"this machine can't run it: {shortage}" for shortage in self.shortages),
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the forecast as JSON values."""
        return asdict(self) | {"data": self.data and self.data.to_json()}


def _sides(limit: Limit) -> list[str]:
    """Return ``≥`` with the lower and ``≤`` with the upper bound, or a note if the limit has no number yet."""
    sides = [f"{sign} {value:.4g}" for sign, value in (("≥", limit.min), ("≤", limit.max)) if value is not None]
    return sides or ["known after the original is trained"]


def forecast(plan: Plan) -> Forecast:
    """Estimate the cost of a plan from measurements on this machine.

    Raises:
        NasError: the plan can't be run, or its limits can't be met.
    """
    problem, *_ = [open_problem(spec.plan) for spec in study_specs(plan)]  # references are checked too
    executor = LocalExecutor(pools(plan, local=True), code=plan.code)
    try:
        return measured_forecast(problem, executor)
    finally:
        executor.close()


def size_of(space: SearchSpace, task: Task, max_seconds: float) -> str:
    """Return the number of networks of a space on a task, counted or estimated within about ``max_seconds``."""
    return _size(Searched(space, {"name": ""}, (), task), max_seconds)


def measured_forecast(problem: Problem, executor: Executor) -> Forecast:
    """Measure what a study would cost where its executor is.

    Raises:
        PlanError: its limits can't be met, or name a metric that a target can't tell.
    """
    targets = {name: calibrate(executor, spec) for name, spec in target_specs(problem.plan).items()}
    check_targets(executor, problem, targets)
    ends = [problem.searched.sample(PositionChooser(position)) for position in (0.0, 1.0)]
    original = original_of(problem)
    networks = [*ends, *random_networks(problem), *([original.network] if original else [])]
    smallest, largest, *others = probe(executor, problem, targets, networks)
    first = {"original": _with_scores(executor, problem, original, others.pop())} if original else {}
    limits = relative_bounds(problem, others, first.get("original"))
    check_feasible(problem, limits, smallest)
    key = ("latency_ms", problem.plan.targets[0].name)
    typical = sorted(others, key=lambda item: item.metrics[key])[len(others) // 2]
    shown = {**first, "smallest": smallest, "median": typical, "largest": largest}
    feasible = [item for item in others if _within(problem, limits, item)]
    seconds = _training_seconds(problem, typical)
    feasible_share = len(feasible) / len(others)
    is_partial = problem.plan.limits and not problem.max_measured
    share = _halving_share(problem)
    trained = problem.plan.budget.trials * (feasible_share if is_partial else 1.0)
    again = problem.plan.confidence
    spent_s = (trained * share + again.retrain) * seconds + again.remeasure * problem.plan.measure.budget_s
    kept = RETENTIONS[problem.plan.artifacts.retention].expected(trained)
    waiting = CHECKPOINT_COPIES * trained if problem.rungs else 0.0
    return Forecast(
        size=_size(problem.searched),
        networks=[{"network": name, **_row(problem, item)} for name, item in shown.items()],
        limits=limits,
        feasible_share=feasible_share,
        hours=spent_s / 3600,
        disk_mb=(2 * kept + waiting) * BYTES_PER_WEIGHT * typical.metrics["parameters", ""] / 1e6,
        halving=_halving_text(problem, share) if problem.rungs else None,
        shortages=shortages(problem.plan),
        doubts=_doubts(problem),
        data=problem.task.summary(),
    )


def _with_scores(executor: Executor, problem: Problem, original: Original, found: Probe) -> Probe:
    """Return the measured original with its scores, if it has trained weights; else unchanged."""
    if not original.trained:
        return found
    architecture = original.network.architecture.to_json()
    payload: NetworkPayload = {
        "plan": problem.plan.model_dump_json(),
        "architecture": architecture,
        "seed": problem.plan.seed,
    }
    (result,) = run_jobs(executor, [SCORE.job("score", payload, TRAIN_POOL)], "scoring a network")
    scores = SCORE.result(result)["metrics"]
    return replace(found, metrics={**found.metrics, **{(name, ""): value for name, value in scores.items()}})


def _doubts(problem: Problem) -> list[str]:
    """Return a warning if the plan's trainings are too short to distinguish networks."""
    few = "" if problem.starts_trained else few_steps(problem.estimator().num_steps(problem.task))
    return [f"too short: each candidate is {few}; raise estimator.epochs or lower batch_size"] if few else []


def _halving_share(problem: Problem) -> float:
    """Return the share of the epochs of full trainings that a study is expected to train; 1 without halving."""
    estimator = problem.estimator()
    return estimator.halving.share(estimator.num_epochs) if estimator.halving else 1.0


def _halving_text(problem: Problem, share: float) -> str:
    rungs, of = " and ".join(map(str, problem.rungs)), problem.estimator().num_epochs
    return f"halving: trainings are compared after {rungs} of {of} epochs; about {share:.0%} of all epochs are trained"


def _row(problem: Problem, item: Probe) -> dict[str, Any]:
    order = ("parameters", "macs", "size_bytes")
    wanted = {problem.metric_key(name) for name in (*problem.objectives, *problem.plan.limits)}
    first = {name: int(item.metrics[name, ""]) for name in order}
    rest = {
        f"{name}@{target}" if target else name: value
        for (name, target), value in item.metrics.items()
        if name not in order and (not is_hidden(name) or (name, target) in wanted)
    }
    return first | rest


def _within(problem: Problem, limits: Mapping[str, Limit], item: Probe) -> bool:
    values = {name: item.metrics.get(problem.metric_key(name)) for name in limits}
    return all(value is None or limits[name].violation(value) <= 0 for name, value in values.items())


def _training_seconds(problem: Problem, item: Probe) -> float:
    """Return the wall time of a typical training in seconds, estimated from its first epoch."""
    plan = problem.plan
    architecture = Architecture(plan.space.spec(), tuple(policy.spec() for policy in plan.policies), item.choices)
    network = problem.searched.build(architecture, plan.seed)
    estimator = problem.estimator()
    first = next(estimator.fit(network, problem.task, seed=plan.seed))
    return first.values["seconds"] * estimator.num_epochs / pools(plan, local=True)[0].size


def _size(searched: Searched, max_seconds: float = 6.0) -> str:
    return f"{space_size(searched.sample, max_seconds=max_seconds)} networks"
