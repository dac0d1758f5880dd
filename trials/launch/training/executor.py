"""Executors for commands that only train."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from trials.executors import EXECUTORS, Executor
from trials.plans.machine import check_fits_here
from trials.plans.plan import Plan
from trials.plans.pools import pools


@contextmanager
def open_training_executor(plan: Plan, address: str | None = None, workers: int = 1) -> Iterator[Executor]:
    """Open an executor with the plan's training pool, as in a search; with several ``workers``, each job uses them all.

    Raises:
        PlanError: without a cluster, the trainings need more resources than this machine has.
        MissingPackageError: several workers need Ray, which is not installed.
    """
    if address is None:
        check_fits_here(plan)
    pool = replace(pools(plan, local=address is None)[0], turns_with=frozenset())
    executor: Executor
    if workers > 1:
        from trials.executors.ray_train import RayTrainExecutor  # here, because it needs the extra ray

        executor = RayTrainExecutor([pool], workers=workers, code=plan.code, address=address)
    else:
        executor = EXECUTORS.get(plan.executor)([pool], code=plan.code, address=address)
    try:
        yield executor
    finally:
        executor.close()
