"""Start, resume and extend studies, and run their coordinators."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from nas.errors import AllFailedError, ClusterError, StorageLostError, StudyError
from nas.strategies import Limit
from trials.analysis.compared import NUM_COMPARED
from trials.coordinator.assignment import Assignment
from trials.coordinator.coordinator import LEASE_S, Coordinator
from trials.coordinator.faults import check_some_succeeded
from trials.coordinator.study_log import StudyLog, events
from trials.executors import EXECUTORS, Executor
from trials.executors.turns import TurnTaking
from trials.jobs.environment import owner
from trials.launch.cluster.continuing import pack_code, stored_specs, unfinished, wait_for_lease, with_code
from trials.launch.companions import check_comparable, twin_specs
from trials.launch.extension import prepare_extension
from trials.launch.folders import StudyFolders
from trials.launch.preparing import CHECKING, EndedByRequest, OnPhase, check_nodes, create_studies, prepare, preparing
from trials.launch.retention import collect
from trials.plans.data import DATA, check_data
from trials.plans.loading import with_absolute_paths
from trials.plans.machine import check_fits_here
from trials.plans.plan import Plan, make_plan
from trials.plans.pools import pools
from trials.plans.problem import Problem, open_problem
from trials.plans.studies import StudySpec, study_specs
from trials.store.database.transactions import PATIENCE_S
from trials.store.database.waiting import wait_for_server
from trials.store.models import Study
from trials.store.read.rows import study_row
from trials.store.read.twins import num_untimed_twins
from trials.store.records import SPENT, Lease
from trials.store.roles import Role, companion_name
from trials.store.store import Store
from trials.store.write.leases import acquire_lease, check_lease_free, release_lease
from trials.store.write.studies import check_name_free
from trials.targets.stored import with_stored_targets

log = logging.getLogger(__name__)
OnUpdate = Callable[[Coordinator], None]


def search(
    plan: Plan,
    *,
    storage: str,
    name: str | None = None,
    baseline: str | None = None,
    twins: bool = False,
    address: str | None = None,
    or_resume: bool = False,
    nodes_join: bool = False,
    on_update: OnUpdate = lambda coordinator: None,
    on_phase: OnPhase = lambda study, phase: None,
) -> list[str]:
    """Run a plan's studies one after the other, and with ``twins`` also the companions of its searches.

    Args:
        plan: the plan.
        storage: URL of the database.
        name: name of the study; by default that of the plan.
        baseline: strategy of a study to compare with.
        twins: whether to run the companions.
        address: address of a Ray cluster.
        or_resume: continue the studies if they exist with this plan; ended studies are left as they are. The database
            keeps the plan's own code. A database that does not answer is waited for, because such a command is often
            repeated without anybody who watches.
        nodes_join: whether nodes join the cluster when they are needed; see ``Executor``.
        on_update: see ``Coordinator``.
        on_phase: called with the phase of the preparation.

    Returns:
        The names of the studies.

    Raises:
        NasError: the plan can't be run; nothing is stored. If anything else ends the preparation (a device is not
            reachable, Ctrl-C), the study stays in the database and can be resumed or deleted.
    """
    if or_resume:
        wait_for_server(storage, PATIENCE_S)
    store = Store(storage, patience_s=PATIENCE_S)
    store.check_writable()
    plan = with_absolute_paths(with_stored_targets(plan, store))
    specs = study_specs(plan, name, baseline)
    searches = [spec.name for spec in specs if spec.role == "search"] if twins else []
    if twins:
        check_comparable(plan)
    if or_resume and (stored := stored_specs(store, specs)):
        left = unfinished(store, stored)
        wait_for_lease(store, [spec.name for spec in left])
        _continue(store, left, address, on_update, on_phase, nodes_join=nodes_join)
        return [spec.name for spec in specs]
    studies = _opened(specs)
    later = [companion_name(name, role) for name in searches for role in ("dense", "random_mask")]
    for wanted in [*(spec.name for spec in specs), *later]:
        store.read(check_name_free, wanted)
    code = pack_code(plan.code) if or_resume else None
    create_studies(store, studies, specs[0].name, is_prepared=False, code=code)
    with (
        preparing(store, [spec.name for spec in specs], on_phase, are_new=True) as preparation,
        open_executor(plan, address) as executor,
    ):
        executor.nodes_join = nodes_join
        if address is not None:
            preparation.says(CHECKING)
            check_nodes(executor, plan, StudyFolders(store, store.read(study_row, specs[0].name)).root)
        targets = prepare(executor, store, _named(studies), preparation)
        run_all(store, studies, executor, targets, on_update)
        for searched in searches:
            companions = _opened(twin_specs(store, searched))
            create_studies(store, companions, specs[0].name, is_prepared=True)
            run_all(store, companions, executor, targets, on_update)
            specs += [spec for spec, _ in companions]
    return [spec.name for spec in specs]


def add_twins(
    storage: str,
    name: str,
    *,
    max_networks: int = NUM_COMPARED,
    address: str | None = None,
    on_update: OnUpdate = lambda coordinator: None,
    on_phase: OnPhase = lambda study, phase: None,
) -> list[str]:
    """Run the companions of a finished study, and return their names.

    Raises:
        StudyError: the study is not finished, or no policy changed any of its complete candidates.
    """
    store = Store(storage, patience_s=PATIENCE_S)
    store.check_writable()
    row = store.read(study_row, name)
    specs = twin_specs(store, name, max_networks)
    if not specs:
        raise StudyError(f"no policy changed any complete candidate of study {name!r}; there is nothing to compare")
    for spec in specs:
        store.read(check_name_free, spec.name)
    studies = _opened(specs)
    check_data(name, row.environment, studies[0][1])
    create_studies(store, studies, row.group, is_prepared=True)
    names = [spec.name for spec in specs]
    with (
        preparing(store, names, on_phase, are_new=True) as preparation,
        open_executor(specs[0].plan, address) as executor,
    ):
        targets = prepare(executor, store, _named(studies), preparation)
        run_all(store, studies, executor, targets, on_update)
    return names


def run_all(
    store: Store,
    studies: Sequence[tuple[StudySpec, Problem]],
    executor: Executor,
    targets: Mapping[str, Any],
    on_update: OnUpdate,
) -> None:
    """Run stored studies one after the other.

    Raises:
        AllFailedError: no candidate of one of the studies succeeded; the other studies were run nevertheless.
    """
    failed: AllFailedError | None = None
    for spec, problem in studies:
        try:
            run_study(store, spec.name, problem, executor, targets, on_update)
        except AllFailedError as error:
            failed = failed or error
    if failed:
        raise failed


def _named(studies: Sequence[tuple[StudySpec, Problem]]) -> list[tuple[str, Problem]]:
    return [(spec.name, problem) for spec, problem in studies]


def _opened(specs: Sequence[StudySpec]) -> list[tuple[StudySpec, Problem]]:
    return [(spec, open_problem(spec.plan)) for spec in specs]


def resume(
    storage: str,
    name: str,
    *,
    address: str | None = None,
    code: Sequence[str] | None = None,
    on_update: OnUpdate = lambda coordinator: None,
    on_phase: OnPhase = lambda study, phase: None,
) -> None:
    """Continue an interrupted study from its stored state, or measure missing dense twins of a finished study.

    Args:
        storage: URL of the database.
        name: name of the study.
        address: address of a Ray cluster.
        code: folders that contain the plan's own code now; by default those that the plan names.
        on_update: see ``Coordinator``.
        on_phase: called with the phase of the preparation.

    Raises:
        PlanError: ``code`` names a folder that does not exist.
        StudyError: the study is finished, or another coordinator runs it.
    """
    store = Store(storage, patience_s=PATIENCE_S)
    store.check_writable()
    row = store.read(study_row, name)
    if row.state in SPENT and not store.read(num_untimed_twins, row.id):
        raise StudyError(
            f"study {name!r} is {row.state} and has used up its budget; add to it with "
            f"nas extend {name} budget.trials=+10 (in Python: .extend(trials=10))"
        )
    store.read(check_lease_free, row.id, owner())
    plan = make_plan(row.plan)
    spec = StudySpec(name, cast(Role, row.role), plan if code is None else with_code(plan, code))
    _continue(store, [spec], address, on_update, on_phase)


def _continue(
    store: Store,
    specs: Sequence[StudySpec],
    address: str | None,
    on_update: OnUpdate,
    on_phase: OnPhase,
    *,
    nodes_join: bool = False,
) -> None:
    """Run stored studies of one group one after the other, from their stored states."""
    if not specs:
        return
    studies = _opened(specs)
    for spec, problem in studies:
        row = store.read(study_row, spec.name)
        if not check_data(spec.name, row.environment, problem) and row.is_prepared:
            log.warning("study %s did not record its data, so a change of the data can't be detected", spec.name)
    with (
        preparing(store, [spec.name for spec in specs], on_phase, are_new=False) as preparation,
        open_executor(specs[0].plan, address) as executor,
    ):
        executor.nodes_join = nodes_join
        targets = prepare(executor, store, _named(studies), preparation)
        run_all(store, studies, executor, targets, on_update)


def extend(
    storage: str,
    name: str,
    overrides: Sequence[str],
    *,
    address: str | None = None,
    on_update: OnUpdate = lambda coordinator: None,
    on_phase: OnPhase = lambda study, phase: None,
) -> None:
    """Give a finished or interrupted study a larger budget, more repeats or tighter limits, and run it.

    Args:
        storage: URL of the database.
        name: name of the study.
        overrides: ``key=value`` as for plans; ``key=+10`` adds 10 to the present value.
        address: address of a Ray cluster.
        on_update: see ``Coordinator``.
        on_phase: called with the phase of the preparation.

    Raises:
        PlanError: a key can't be changed, or a value is not allowed.
        StudyError: the changes add no work, or another coordinator runs the study.
    """
    prepare_extension(Store(storage, patience_s=PATIENCE_S), name, overrides, owner(), LEASE_S)
    resume(storage, name, address=address, on_update=on_update, on_phase=on_phase)


def run_study(
    store: Store,
    name: str,
    problem: Problem,
    executor: Executor,
    targets: Mapping[str, Any],
    on_update: OnUpdate = lambda coordinator: None,
) -> None:
    """Run the coordinator of one stored study until the study ends; after any interruption it can be resumed.

    Raises:
        EndedByRequest: the study was paused.
        PlaceError: a fault of the place lasted too long, and the study is interrupted.
        AllFailedError: many candidates failed with the same error, and the study is interrupted; or the study ended
            and no candidate succeeded.
    """
    row = store.read(study_row, name)
    lease = store.write(acquire_lease, row.id, owner(), LEASE_S)
    files = StudyFolders(store, row)
    files.adopt_checkpoints()
    assignment = _assignment(row, lease, problem, files, targets)
    with StudyLog(store, row.id) as study_log:
        events.info("%s runs the study", owner())

        def updated(coordinator: Coordinator) -> None:
            study_log.write()
            on_update(coordinator)

        coordinator = Coordinator(store, assignment, executor, row.totals, updated)
        _coordinate(store, coordinator, study_log)
    on_update(coordinator)
    if coordinator.state == "paused":
        raise EndedByRequest
    collect(store, name)
    check_some_succeeded(store, name, coordinator.progress.counts)


def _coordinate(store: Store, coordinator: Coordinator, study_log: StudyLog) -> None:
    """Run a coordinator to its end, and release its study."""

    def release(state: str, error: str | None = None) -> None:
        coordinator.state = state
        events.log(logging.ERROR if error else logging.INFO, "the study is %s%s", state, f": {error}" if error else "")
        study_log.write(now=True)
        store.write(release_lease, coordinator.assignment.lease, state, coordinator.totals, error)

    name = coordinator.name
    try:
        state = coordinator.run()
    except StudyError:
        raise  # another coordinator has the lease, so write nothing
    except StorageLostError as lost:
        raise StorageLostError(f"{lost} (continue with: nas resume {name})") from lost
    except Exception as problem_met:
        release("interrupted", f"{type(problem_met).__name__}: {problem_met}")
        coordinator.show()
        if isinstance(problem_met, ClusterError):
            raise ClusterError(f"{problem_met}; nothing is lost, continue with: nas resume {name}") from problem_met
        raise
    except KeyboardInterrupt:
        store.transactions.hurry()
        release("interrupted")
        raise
    release(state)


def _assignment(
    row: Study, lease: Lease, problem: Problem, files: StudyFolders, targets: Mapping[str, Any]
) -> Assignment:
    """Return the assignment of a coordinator for a stored study."""
    return Assignment(
        name=row.name,
        lease=lease,
        problem=problem,
        limits={metric: Limit(**bound) for metric, bound in row.limits.items()},
        targets=targets,
        artifacts=files.artifacts,
        checkpoints=str(files.checkpoints),
        data=row.environment.get(DATA, {}).get("fingerprint"),
        original=row.original,
    )


@contextmanager
def open_executor(plan: Plan, address: str | None = None) -> Iterator[Executor]:
    """Open the plan's executor, with a training pool and one measuring worker per target.

    Raises:
        PlanError: without a cluster, the trainings need more resources than this machine has.
    """
    if address is None:
        check_fits_here(plan)
    wanted = pools(plan, local=address is None)
    executor: Executor = EXECUTORS.get(plan.executor)(wanted, code=plan.code, address=address)
    if any(pool.turns_with for pool in wanted):
        executor = TurnTaking(executor, wanted)
    try:
        yield executor
    finally:
        try:
            executor.close()
        except Exception:  # all results are stored, so a worker that can't be stopped does no harm
            log.warning("the executor did not stop cleanly", exc_info=True)
