"""Prepare a study for its first candidate. The study is stored first, and then each phase of the preparation.

If the preparation ends early, the study stays in the database with the reason and can be resumed or deleted. A new
study whose plan turns out to be impossible is removed instead, so that the corrected plan can use its name.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from nas.errors import PlanError, StorageLostError
from trials.coordinator.coordinator import LEASE_S
from trials.coordinator.original import NUMBER
from trials.coordinator.room import waits_for
from trials.executors import Executor
from trials.jobs.environment import describe_environment, owner
from trials.launch.probing import check_targets, resolve_limits
from trials.launch.warm_start import earlier_results
from trials.plans.data import DATA, describe_data
from trials.plans.paths import paths_read
from trials.plans.plan import Plan
from trials.plans.problem import Problem, enqueued_answers
from trials.plans.studies import StudySpec
from trials.store.read.rows import study_row
from trials.store.store import Store
from trials.store.write.leases import acquire_lease, release_lease, set_phase
from trials.store.write.requests import read_request
from trials.store.write.studies import create_group, finish_preparing
from trials.targets.calibration import calibrate_targets

#: Called with a study's name and the present phase of its preparation.
OnPhase = Callable[[str, str], None]
#: The first phases of a preparation; afterwards the plan is known to fit the workers.
STARTING, CHECKING = "starting workers", "checking the nodes"
#: Request → the state of a study that ended by it.
ENDED_BY = {"pause": "paused", "stop": "stopped"}


def phase_line(study: str, phase: str) -> str:
    """Return the text that shows a phase of a study's preparation; it is also how ``nas submit`` follows a job."""
    return f"study {study} · preparing: {phase}"


class EndedByRequest(Exception):
    """Ends the work on studies after a request to pause or stop; ``preparing`` handles it."""


def create_studies(
    store: Store,
    studies: Sequence[tuple[StudySpec, Problem]],
    group: str,
    *,
    is_prepared: bool,
    code: bytes | None = None,
) -> None:
    """Store the studies of one group in one transaction.

    Args:
        store: the database.
        studies: the studies.
        group: name of their group.
        is_prepared: whether they can start without limits or data being determined.
        code: see ``trials.store.models.Study.code``.
    """
    rows: list[dict[str, Any]] = [
        {
            "name": spec.name,
            "group": group,
            "role": spec.role,
            "plan": spec.plan.to_json(),
            "limits": {},
            "objectives": dict(problem.objectives),
            "environment": describe_environment() | ({DATA: describe_data(problem)} if is_prepared else {}),
            "seed": spec.plan.seed,
            "regime": problem.regime(),
            "beside": spec.beside,
            "original": NUMBER if problem.untouched() else None,
            "is_prepared": is_prepared,
            "enqueued": enqueued_answers(problem),
            "earlier": earlier_results(store, problem),
            "code": code,
        }
        for spec, problem in studies
    ]
    store.write(create_group, rows)


class Preparation:
    """Holds the lease of a study while it is prepared, and stores the present phase.

    Attributes:
        is_over: whether the study is prepared; from then on its coordinator handles errors.
    """

    def __init__(self, store: Store, name: str, on_phase: OnPhase) -> None:
        self._store, self._name, self._on_phase = store, name, on_phase
        self._row = store.read(study_row, name)
        self._lease = store.write(acquire_lease, self._row.id, owner(), LEASE_S, state="preparing")
        self._phase, self._renewed = "", 0.0
        self.is_over = False
        self.says(STARTING)

    def says(self, phase: str) -> None:
        """Store and show the present phase, and renew the lease; call this every few seconds.

        Raises:
            EndedByRequest: the study was to be paused or stopped, and is.
        """
        if request := self._store.read(read_request, self._row.id):
            self._store.write(release_lease, self._lease, ENDED_BY[request], self._row.totals)
            raise EndedByRequest
        now = time.monotonic()
        if phase != self._phase or now - self._renewed > LEASE_S / 6:
            self._store.write(set_phase, self._lease, phase, LEASE_S)
            self._phase, self._renewed = phase, now
        self._on_phase(self._name, phase)

    def leave(self, error: BaseException) -> None:
        """Release the study as interrupted, and store why the preparation ended."""
        if isinstance(error, KeyboardInterrupt):
            self._store.transactions.hurry()
        reason = f"while {self._phase}: {type(error).__name__}: {error}".rstrip(": ")
        self._store.write(release_lease, self._lease, "interrupted", self._row.totals, reason)

    def discard(self, names: Sequence[str]) -> None:
        """Remove new studies that could not be prepared."""
        self._store.write(release_lease, self._lease, "interrupted", {})
        for name in names:
            self._store.delete_study(name)


@contextmanager
def preparing(store: Store, names: Sequence[str], on_phase: OnPhase, *, are_new: bool) -> Iterator[Preparation]:
    """Hold the first of some studies while all of them are prepared; handle errors as the module describes."""
    preparation = Preparation(store, names[0], on_phase)
    try:
        yield preparation
    except EndedByRequest:
        pass
    except StorageLostError:
        raise
    except BaseException as error:
        if not preparation.is_over and are_new and isinstance(error, PlanError):
            preparation.discard(names)
        elif not preparation.is_over:
            preparation.leave(error)
        raise


def check_nodes(executor: Executor, plan: Plan, root: str) -> None:
    """Check that the nodes of a cluster have what a plan needs.

    Args:
        executor: the executor of the plan, on a cluster.
        plan: the plan, with absolute paths.
        root: root of all artifacts: a URI or an absolute path.

    Raises:
        PlanError: the message has one line for each problem.
    """
    paths = {key: path for key, path in paths_read(plan.to_json()).items() if os.path.exists(path)}
    problems = executor.problems(paths, None if "://" in root else root)
    if problems:
        raise PlanError("the cluster can't run this plan:\n" + "\n".join(f"  {item}" for item in problems))


def prepare(
    executor: Executor, store: Store, studies: Sequence[tuple[str, Problem]], preparation: Preparation
) -> Mapping[str, Any]:
    """Calibrate targets, resolve limits and describe the data of studies, and store the results.

    Returns:
        The targets of the studies, as JSON values for jobs.

    Raises:
        PlanError: no network can meet a limit, or a target is stored with another description.
        PlaceError: a target's device does not answer, or its core is in use.
    """
    problem = studies[0][1]
    first = store.read(study_row, studies[0][0]).id

    def says(phase: str) -> None:
        waits = waits_for(store, executor, first)
        preparation.says(f"{phase}, {waits}" if waits else phase)

    targets = calibrate_targets(executor, store, problem, says)
    check_targets(executor, problem, targets, says)
    rows = {name: store.read(study_row, name) for name, _ in studies}
    if all(row.is_prepared for row in rows.values()):
        preparation.is_over = True
        return targets
    limits = resolve_limits(executor, problem, targets, says)
    says("reading the data")
    for name, own in studies:
        bounds = {metric: asdict(limit) for metric, limit in limits.items()} if own.plan.limits else {}
        environment = {**rows[name].environment, DATA: describe_data(own)}
        store.write(finish_preparing, rows[name].id, bounds, environment)
    preparation.is_over = True
    return targets
