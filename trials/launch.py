"""Start and resume studies: everything between a plan and a running coordinator."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from nas.errors import StudyError
from nas.latency.affinity import measuring_core, training_cores
from nas.strategies import Limit
from trials.environment import describe_environment, owner
from trials.executors import EXECUTORS, Executor, Pool
from trials.plan import Named, Plan, make_plan
from trials.probing import calibrate_targets, resolve_limits
from trials.problem import Problem, open_problem
from trials.retention import collect
from trials.store.store import Store
from trials.study import LEASE_S, Assignment, Coordinator

log = logging.getLogger(__name__)
OnUpdate = Callable[[Coordinator], None]


@dataclass(frozen=True)
class StudySpec:
    """One study of a launch: the plan itself, its random twin, or either with another seed."""

    name: str
    role: Literal["search", "baseline"]
    plan: Plan


def study_specs(plan: Plan, name: str | None = None, baseline: str | None = None) -> list[StudySpec]:
    """The studies a plan asks for; each replicate is followed by its baseline."""
    name = name or plan.name
    specs = []
    for seed in dict.fromkeys((plan.seed, *plan.replicate_seeds)):
        replicate = name if seed == plan.seed else f"{name}-seed{seed}"
        one = plan.model_copy(update={"seed": seed, "name": replicate, "replicate_seeds": ()})
        specs.append(StudySpec(replicate, "search", one))
        if baseline:
            twin = one.model_copy(update={"name": f"{replicate}-{baseline}", "strategy": Named(name=baseline)})
            specs.append(StudySpec(twin.name, "baseline", twin))
    return specs


def search(
    plan: Plan,
    *,
    storage: str,
    name: str | None = None,
    baseline: str | None = None,
    address: str | None = None,
    on_update: OnUpdate = lambda coordinator: None,
) -> list[str]:
    """Run a plan's studies one after the other; their names.

    Raises:
        NasError: the plan can't be run; nothing was stored.
    """
    specs = study_specs(plan, name, baseline)
    problems = [open_problem(spec.plan) for spec in specs]
    store = Store(storage)
    for spec in specs:
        store.check_name_free(spec.name)
    with open_executor(plan, address) as executor:
        targets = calibrate_targets(executor, store, problems[0])
        limits = resolve_limits(executor, problems[0], targets)
        for spec, problem in zip(specs, problems, strict=True):
            store.create_study(
                name=spec.name,
                group=specs[0].name,
                role=spec.role,
                plan=spec.plan.to_json(),
                limits={metric: asdict(limit) for metric, limit in limits.items()},
                objectives=dict(problem.objectives),
                environment=describe_environment(),
                seed=spec.plan.seed,
            )
        for spec, problem in zip(specs, problems, strict=True):
            run_study(store, spec.name, problem, executor, targets, on_update)
    return [spec.name for spec in specs]


def resume(
    storage: str,
    name: str,
    *,
    address: str | None = None,
    on_update: OnUpdate = lambda coordinator: None,
) -> None:
    """Take up an interrupted study where its tables are.

    Raises:
        StudyError: it is finished, or its coordinator lives.
    """
    store = Store(storage)
    row = store.study_row(name)
    if row.state in ("complete", "exhausted"):
        raise StudyError(f"study {name!r} is {row.state}: nothing is left to do; start another with --name")
    plan = make_plan(row.plan)
    problem = open_problem(plan)
    store.check_lease_free(row.id, owner())
    with open_executor(plan, address) as executor:
        targets = calibrate_targets(executor, store, problem)
        run_study(store, name, problem, executor, targets, on_update)


def run_study(
    store: Store,
    name: str,
    problem: Problem,
    executor: Executor,
    targets: dict[str, Any],
    on_update: OnUpdate = lambda coordinator: None,
) -> None:
    """Coordinate one stored study to its end; on any interruption it can be resumed."""
    row = store.study_row(name)
    epoch = store.acquire(row.id, owner(), LEASE_S)
    root = artifact_root(store, problem.plan)
    coordinator = Coordinator(
        store,
        Assignment(
            study_id=row.id,
            epoch=epoch,
            problem=problem,
            limits={metric: Limit(**bound) for metric, bound in row.limits.items()},
            shared={
                "plan": problem.plan.model_dump_json(),
                "study": name,
                "artifacts": root,
                "work": str(work_folder(root) / name),
                "targets": targets,
            },
        ),
        executor,
        row.totals,
        on_update,
    )
    state, error = "interrupted", None
    try:
        state = coordinator.run()
    except StudyError:
        raise  # the lease is another's: write nothing
    except Exception as problem_met:
        error = f"{type(problem_met).__name__}: {problem_met}"
        store.release(row.id, epoch, "interrupted", coordinator.totals, error)
        raise
    except KeyboardInterrupt:
        store.release(row.id, epoch, "interrupted", coordinator.totals)
        raise
    store.release(row.id, epoch, state, coordinator.totals)
    collect(store, name)
    on_update(coordinator)


@contextmanager
def open_executor(plan: Plan, address: str | None = None) -> Iterator[Executor]:
    """The plan's executor with a training pool and one measuring slot per target."""
    executor = EXECUTORS.get(plan.executor)(pools(plan, local=address is None), code=plan.code, address=address)
    try:
        yield executor
    finally:
        executor.close()


def pools(plan: Plan, *, local: bool) -> Sequence[Pool]:
    """While this machine is a target, trainers are kept off its measuring core."""
    train = plan.resources.train
    cores = tuple(training_cores()) if local else ()
    size = plan.concurrency or max(1, int(len(cores or (0,)) // max(train.cpus, 1)))
    measuring = [
        Pool(
            f"target:{target.name}",
            size=1,
            cores=(measuring_core() if target.core is None else target.core,) if local else (),
            resources={} if local else {f"target:{target.name}": 1},
        )
        for target in plan.targets
    ]
    return [Pool("train", size=size, cpus=train.cpus, gpus=train.gpus, cores=cores), *measuring]


def artifact_root(store: Store, plan: Plan) -> str:
    """Where files of a plan's studies go: what it says, or a folder beside the database."""
    root = plan.artifacts.root or str(store.folder / "nas_artifacts")
    return root if "://" in root else str(Path(root).resolve())  # workers run in other folders


def work_folder(root: str) -> Path:
    """Folder of checkpoints: under a local artifact root, else in the user's cache."""
    if "://" not in root:
        return Path(root) / "work"
    return Path.home() / ".cache" / "measured-nas" / "work"
