"""What a study waits for on a crowded cluster, in words."""

from __future__ import annotations

from trials.executors import TRAIN_POOL, Executor
from trials.store.read.sharing import studies_on
from trials.store.store import Reading


def waits_for(store: Reading, executor: Executor, study_id: int) -> str:
    """Return text such as ``waits for target pi, which study digits uses``; empty if there is room for all pools."""
    return "; ".join(_waits(store, pool, study_id) for pool in executor.crowded)


def _waits(store: Reading, pool: str, study_id: int) -> str:
    if pool == TRAIN_POOL:
        return "waits for room for trainings on the cluster"
    target = pool.partition(":")[2]
    names = store.read(studies_on, target, study_id)
    users = f", which {'studies' if len(names) > 1 else 'study'} {', '.join(names)} use{'s' * (len(names) == 1)}"
    return f"waits for target {target}{users if names else ''}"
