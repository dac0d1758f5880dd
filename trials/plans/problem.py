"""The objects that a plan names (task, space, policies, estimator, exporter), created and checked together."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

from nas.errors import MeasureError, MissingPackageError, PlanError
from nas.estimators import ESTIMATORS, Estimator
from nas.estimators.rehearsal import rehearse
from nas.export import EXPORTERS, Exporter
from nas.export.rehearsal import rehearse_shipping
from nas.graph.identity import TracedGraph, identity_of, trace
from nas.import_path import append_folders
from nas.latency.runtimes import RUNTIMES, Runtime, answering, make_runtime
from nas.latency.targets import TargetSpec
from nas.registry import make, nearest
from nas.space import Architecture, Network
from nas.space.chooser import PositionChooser, Value
from nas.space.policy import Policy
from nas.space.sampling import Searched, make_policies
from nas.strategies import STRATEGIES, Goal, Limit, Strategy
from nas.tasks import TASKS, Task
from search_spaces import SPACES
from trials.executors import EXECUTORS
from trials.plans.answers import checked_answers, prior_weights, questions_of
from trials.plans.final_training import final_training_of
from trials.plans.metrics import COUNTED, static_metric_names
from trials.plans.plan import Bound, Plan, Relative, make_plan
from trials.store.target_metrics import TARGET_METRICS

#: Defaults of ``budget.measurements`` and ``budget.suggestions``, as multiples.
MEASURED_PER_TRIAL, SUGGESTIONS_PER_CANDIDATE = 10, 20


@dataclass(frozen=True)
class Problem:
    """The objects that a plan describes. The coordinator and every worker create equal problems from the same plan."""

    plan: Plan
    task: Task
    searched: Searched
    exporter: Exporter

    def estimator(self) -> Estimator:
        """Create a new estimator."""
        spec = self.plan.estimator.spec()
        return make(ESTIMATORS.get(self.plan.estimator.name), spec, "estimator")  # type: ignore[no-any-return]

    def strategy(self, goal: Goal, seed: int) -> Strategy:
        """Create a new strategy.

        Raises:
            PlanError: the strategy does not have a given parameter.
        """
        factory = STRATEGIES.get(self.plan.strategy.name)

        def bound(**parameters: Any) -> Strategy:
            return factory(goal, seed, **parameters)

        bound.__signature__ = _without(factory, 2)  # type: ignore[attr-defined]
        strategy: Strategy = make(bound, self.plan.strategy.spec(), "strategy")
        if self.plan.priors:
            strategy.use_priors(prior_weights(questions_of(self.searched), self.plan.priors))
        return strategy

    @cached_property
    def proxies(self) -> tuple[str, ...]:
        """Zero-cost proxies that score every measured candidate before its training."""
        return self.strategy(Goal(self.objectives, {}), self.plan.seed).proxies

    @cached_property
    def rungs(self) -> tuple[int, ...]:
        """Numbers of epochs after which trainings wait and are compared; empty if every training is finished."""
        estimator = self.estimator()
        return estimator.halving.rungs(estimator.num_epochs) if estimator.halving else ()

    @property
    def max_measured(self) -> int:
        """Largest number of candidates that are measured without being trained; 0 if all feasible ones are trained."""
        return max_measured(self.plan)

    @property
    def max_suggestions(self) -> int:
        """Number of suggestions, duplicates included, after which the space counts as exhausted."""
        budget = self.plan.budget
        return budget.suggestions or SUGGESTIONS_PER_CANDIDATE * (budget.trials + self.max_measured)

    @property
    def objectives(self) -> dict[str, Literal["maximize", "minimize"]]:
        """The plan's objectives; by default the task's first metric and the latency of the first target."""
        first = self.task.metrics[0]
        return self.plan.objectives or {first.name: first.direction, "latency_ms": "minimize"}

    @property
    def runtime(self) -> str:
        """The runtime that computes the outputs that candidates are scored by: the first target's, if it can."""
        return answering(self.plan.targets[0].runtime.name)

    def untouched(self) -> Network | None:
        """Return the original: the network of a space without choices, unchanged; None if the study has no original."""
        searches = STRATEGIES.get(self.plan.strategy.name).searches
        return self.searched.untouched() if searches else None

    @property
    def starts_trained(self) -> bool:
        """Whether networks start from given weights instead of random weights."""
        return "weights" in self.searched.space.start()

    @property
    def score_names(self) -> dict[str, None]:
        """Metrics that are only known after the training: first the task's, then those of its classes."""
        return dict.fromkeys(metric.name for metric in (*self.task.metrics, *self.task.class_metrics))

    def metric_names(self) -> list[str]:
        """Return every name that an objective or limit may have."""
        names = [*self.score_names, *static_metric_names(), *TARGET_METRICS]
        names += [f"{metric}@{target.name}" for metric in TARGET_METRICS for target in self.plan.targets]
        network = self.searched.sample(PositionChooser(0))
        return names + list(network.account())

    def metric_key(self, name: str) -> tuple[str, str]:
        """Return ``(name, target)`` of a metric as stored; a target metric without a target means the first target."""
        metric, _, target = name.partition("@")
        if metric in TARGET_METRICS:
            return metric, target or self.plan.targets[0].name
        return metric, ""

    def regime(self) -> dict[str, Any] | None:
        """Return the sparsity regime of the policies, as stored.

        It is None if no policy makes weights sparse, and empty if one does without describing its regime.
        """
        declared = [policy.regime() for policy in make_policies(self.searched.policy_specs)]
        if found := next((regime for regime in declared if regime), None):
            return asdict(found)
        return {} if "density" in self.searched.sample(PositionChooser(0)).account() else None

    def input_shape(self) -> tuple[int, ...]:
        """Return the input shape of the deployed network: the targets' batch size, then ``(C, H, W)``."""
        return (self.plan.targets[0].batch, *self.task.input_shape)

    def identity(self, network: Network) -> str:
        """Return a hash of graph, precision, data, training recipe, seed and start.

        Two networks with equal hashes would be the same experiment.
        """
        return self.identity_of(self.trace(network), network)

    def identity_of(self, graph: TracedGraph, network: Network) -> str:
        """Return the ``identity`` of a network that is already traced."""
        # With halving, a training that is finished is the same experiment.
        estimator = {key: value for key, value in self.plan.estimator.spec().items() if key != "halving"}
        recipe = json.dumps([estimator, self.plan.seed, self.searched.space.start()], sort_keys=True)
        parts = [identity_of(graph, network.bits), fingerprint(self.task), recipe]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def twin_identity(self, architecture: Architecture) -> str:
        """Return the ``identity`` of an architecture's dense parent; it equals its own if no policy changes it."""
        return self.identity(self.searched.dense_parent(architecture))

    def trace(self, network: Network) -> TracedGraph:
        """Return the network's graph for a batch of one."""
        return trace(network.model, (1, *self.task.input_shape))

    def static_metrics(self, network: Network) -> dict[str, float]:
        """Count parameters, non-zeros, their bytes and MACs of a finished network, and add the policies' metrics."""
        graph = self.trace(network)
        return {**{name: count(graph, network) for name, count in COUNTED.items()}, **network.account()}


def open_problem(plan: Plan) -> Problem:
    """Create and check everything that a plan names, without measuring or storing anything.

    A rehearsal runs the smallest network of the space forwards and backwards once, and exports it in each precision of
    the plan to a temporary folder, which it deletes. A plan that passed is not rehearsed again in this process.

    Raises:
        PlanError, UnknownNameError, TaskError: the plan can't be run.
    """
    problem = _assemble(plan)
    _check(problem)
    return problem


@lru_cache(maxsize=4)
def open_problem_json(plan: str) -> Problem:
    """Return the problem of a stored plan, created once per process; it is not checked again."""
    return _assemble(make_plan(json.loads(plan)))


def _assemble(plan: Plan) -> Problem:
    append_folders(plan.code)
    task = make(TASKS.get(plan.task.name), plan.task.spec(), "task")
    space = make(SPACES.get(plan.space.name), plan.space.spec(), "space")
    policies = tuple(policy.spec() for policy in plan.policies)
    make_policies(policies)
    exporter = make(EXPORTERS.get(plan.exporter.name), plan.exporter.spec(), "exporter")
    return Problem(plan, task, Searched(space, plan.space.spec(), policies, task), exporter)


def max_measured(plan: Plan) -> int:
    """Return the number of candidates that a study may measure without training them."""
    if plan.budget.measurements is not None:
        return plan.budget.measurements
    return MEASURED_PER_TRIAL * plan.budget.trials if STRATEGIES.get(plan.strategy.name).chooses else 0


def target_specs(plan: Plan) -> dict[str, TargetSpec]:
    """Return target name → specification for the measuring process.

    Raises:
        PlanError: the settings of a target contradict each other.
    """
    try:
        return {
            item.name: TargetSpec(
                **item.model_dump(exclude={"runtime"}),
                runtime=item.runtime.name,
                parameters=item.runtime.model_dump(exclude={"name"}),
            )
            for item in plan.targets
        }
    except MeasureError as error:
        raise PlanError(str(error)) from error


def bounds(limits: Mapping[str, Bound], resolve: Callable[[str, Relative], float | None]) -> dict[str, Limit]:
    """Return limits as numbers; ``resolve(metric, relative)`` gives a relative bound, or None if not yet known."""

    def number(metric: str, value: float | Relative | None) -> float | None:
        return resolve(metric, value) if isinstance(value, Relative) else value

    return {
        metric: Limit(min=number(metric, bound.min), max=number(metric, bound.max)) for metric, bound in limits.items()
    }


def _check(problem: Problem) -> None:
    plan = problem.plan
    EXECUTORS.get(plan.executor)
    problem.estimator()
    final_training_of(plan).estimator()
    policies = make_policies(problem.searched.policy_specs)
    for spec in target_specs(plan).values():
        _check_target(problem, policies, spec)
    known = problem.metric_names()
    for kind, names in (("objectives", problem.objectives), ("limits", plan.limits)):
        for name in names:
            if name not in known:
                hint = nearest(name, known, f"known: {', '.join(known)}")
                raise PlanError(f"{kind}: no metric {name!r}{hint}")
    _check_relative(problem)
    enqueued_answers(problem)
    _check_rungs(problem)
    _check_knowledge(plan)
    problem.strategy(Goal(problem.objectives, {}), plan.seed).check(problem.searched.sample)
    _check_proxies(problem)
    parts = {name: getattr(plan, name) for name in ("task", "space", "policies", "exporter", "targets", "code")}
    _rehearse(Plan(**parts).model_dump_json())


@lru_cache(maxsize=8)
def _rehearse(plan: str) -> None:
    """Train the space's smallest network for one step, and export it in every precision that a policy offers.

    Args:
        plan: the parts of a plan that the result depends on, as JSON; each is tried only once per process.

    Raises:
        NasError: networks of this space can't be trained or exported as the plan requires.
    """
    problem = open_problem_json(plan)
    smallest = problem.searched.sample(PositionChooser(0)).architecture
    rehearse(problem.searched.build(smallest, 0))
    here = [answering(target.runtime.name) for target in problem.plan.targets if not target.address]
    policies = make_policies(problem.searched.policy_specs)
    rehearse_shipping(
        problem.exporter,
        problem.searched.build(smallest, 0),
        input_shape=problem.input_shape(),
        precisions={name for policy in policies for name in policy.precisions},
        runtimes=list(dict.fromkeys([problem.runtime, *here])),
    )


def _check_relative(problem: Problem) -> None:
    """Raise PlanError if a limit is relative to a network that does not exist or whose metric is not known in time."""
    for name, bound in problem.plan.limits.items():
        for side in (bound.min, bound.max):
            if not isinstance(side, Relative):
                continue
            if side.relative_to == "original" and problem.untouched() is None:
                raise PlanError(
                    f"limits: {name} is relative to the original, but this study has no original; only a search in a "
                    "space that holds one network (module, timm_model) has one. Use relative_to: median, or give a "
                    "number"
                )
            if side.relative_to == "median" and problem.metric_key(name)[0] in problem.score_names:
                raise PlanError(
                    f"limits: {name} is relative to the median, but it is only known after the training; give a number"
                )


def _check_rungs(problem: Problem) -> None:
    """Raise PlanError if candidates can't be compared at a rung, because an objective is not known there."""
    known = {metric.name for metric in problem.task.metrics}
    late = [name for name in problem.objectives if name in problem.score_names and name not in known]
    if problem.rungs and late:
        raise PlanError(
            f"estimator: halving compares unfinished trainings, but the objective {late[0]} is only known at the end "
            f"of a training; choose {', '.join(sorted(known))}, or leave halving out"
        )


def _check_target(problem: Problem, policies: Sequence[Policy], spec: TargetSpec) -> None:
    """Raise PlanError if a target's runtime can't run what the plan requires; a device is only checked by its agent."""
    runtime: Runtime | type[Runtime]
    try:
        runtime = RUNTIMES.get(spec.runtime) if spec.address else make_runtime(spec.runtime, spec.parameters)
    except (MeasureError, MissingPackageError, PlanError) as error:
        raise PlanError(f"target {spec.name!r}: {error}") from error
    which = f"target {spec.name!r}: runtime {spec.runtime!r}"
    check_precisions({name for policy in policies for name in policy.precisions}, runtime, which)
    if problem.exporter.format not in runtime.formats:
        raise PlanError(
            f"{which} opens {', '.join(sorted(runtime.formats))}, but exporter {problem.plan.exporter.name!r} writes "
            f"{problem.exporter.format}; choose another exporter or runtime"
        )
    chosen = {name for policy in policies for name in policy.patterns}
    if runtime.patterns and not runtime.patterns & chosen:
        raise PlanError(
            f"{which} is set to skip the zeros of {', '.join(sorted(runtime.patterns))}, but the plan's policies "
            f"choose from {', '.join(sorted(chosen)) or 'no patterns'}; add one of the runtime's patterns to a "
            "sparsity policy, or remove the parameter from the runtime"
        )


def enqueued_answers(problem: Problem) -> list[dict[str, Value]]:
    """Return the answers of the candidates that the plan enqueues.

    Raises:
        PlanError: an answer is not possible, or the strategy proposes only the networks of a list.
    """
    if not problem.plan.enqueue:
        return []
    check_may_enqueue(problem)
    questions = questions_of(problem.searched)
    return [
        checked_answers(questions, choices, f"enqueue.{index}") for index, choices in enumerate(problem.plan.enqueue)
    ]


def _check_knowledge(plan: Plan) -> None:
    """Raise PlanError if the plan's strategy can't use its earlier studies or priors."""
    strategy = STRATEGIES.get(plan.strategy.name)
    if plan.warm_start and not strategy.starts_warm:
        raise PlanError(
            f"warm_start: strategy {plan.strategy.name} can't start from earlier studies; strategies that can: "
            f"{_listed('starts_warm')}"
        )
    if plan.priors and not strategy.has_priors:
        raise PlanError(
            f"priors: strategy {plan.strategy.name} has no use for them; strategies that have: {_listed('has_priors')}"
        )


def _check_proxies(problem: Problem) -> None:
    """Raise PlanError if proxies would score networks that do not start from random weights."""
    if problem.proxies and problem.starts_trained:
        raise PlanError(
            "strategy: proxies score untrained networks, but the networks of this space start from given weights; "
            "remove proxies from the strategy"
        )


def _listed(ability: str) -> str:
    """Return the names of the project's own strategies with an ability."""
    own = [name for name, place in STRATEGIES.table().items() if place.startswith("nas.")]
    return ", ".join(name for name in own if getattr(STRATEGIES.get(name), ability))


def check_may_enqueue(problem: Problem) -> None:
    """Raise PlanError if the strategy proposes only the networks of a list."""
    name = problem.plan.strategy.name
    if not STRATEGIES.get(name).searches:
        raise PlanError(f"enqueue: strategy {name} proposes only its list of networks; add this one to the list")


def check_precisions(requested: Set[str], runtime: Runtime | type[Runtime], which: str) -> None:
    """Raise PlanError for precisions that a runtime does not support; the message begins with ``which``."""
    if unknown := requested - runtime.precisions:
        raise PlanError(
            f"{which} does not support {', '.join(sorted(unknown))}, only "
            f"{', '.join(sorted(runtime.precisions))}; remove the others from the policy's `options`"
        )


@lru_cache(maxsize=8)
def fingerprint(task: Task) -> str:
    """Return a task's fingerprint, computed once per process."""
    return task.fingerprint()


def _without(factory: Callable[..., Any], count: int) -> Any:
    signature = inspect.signature(factory)
    return signature.replace(parameters=list(signature.parameters.values())[count:])
