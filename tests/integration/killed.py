"""Runs a study and kills its process with SIGKILL at a given point."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trials.launch.studies import search
from trials.plans.loading import load_plan
from trials.store.store import Store
from trials.store.write.jobs import add_epochs, commit_job, start_job, stop_candidate
from trials.store.write.proposals import propose
from trials.store.write.repeats import queue_training


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(point: str) -> None:
    """Wrap the store's transactions so that the coordinator is killed at one of them."""
    function, kind, moment = (POINTS | RUNGS)[point]
    kinds: dict[int, str] = {}
    write = Store.write

    def wrapped(self: Store, work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        hit = work is function and (kind is None or kinds[arguments[JOB_ID[work]]] == kind)
        if hit and moment == "before":
            die()
        result = write(self, work, *arguments, **options)
        if hit and moment == "after":
            die()
        remember_kinds(kinds, work, arguments, result)
        return result

    Store.write = wrapped  # type: ignore[method-assign,assignment]


def remember_kinds(kinds: dict[int, str], work: Callable[..., Any], arguments: Any, result: Any) -> None:
    """Job id → kind of job, recorded when jobs are proposed and when one job queues the next."""
    if work is propose and hasattr(result, "job_id"):
        kinds[result.job_id] = arguments[3][0]
    if work is queue_training:
        kinds[result.job_id] = result.kind
    if work is commit_job:
        kinds.update({job_id: step[0] for job_id, step in zip(result or [], arguments[2].next_jobs, strict=True)})


#: Position of the argument that holds the job's id.
JOB_ID: dict[Callable[..., Any], int] = {start_job: 1, commit_job: 0, add_epochs: 1}
#: Point → the store's function, the kind of job (None for any), and whether to die before or after the function.
POINTS: dict[str, tuple[Callable[..., Any], str | None, str]] = {
    "after propose": (propose, None, "after"),
    "during measuring": (start_job, "gate", "after"),
    "after measuring": (commit_job, "gate", "after"),
    "before choosing": (queue_training, None, "before"),
    "after choosing": (queue_training, None, "after"),
    "during training": (add_epochs, "train", "after"),
    "after training before commit": (commit_job, "train", "before"),
    "after commit": (commit_job, "train", "after"),
    "after the twin before commit": (commit_job, "twin", "before"),
}


#: Points of a study with halving, whose first rung is one epoch.
RUNGS: dict[str, tuple[Callable[..., Any], str | None, str]] = {
    "during the first part": (add_epochs, "rung-1", "after"),
    "at a rung before commit": (commit_job, "rung-1", "before"),
    "at a rung": (commit_job, "rung-1", "after"),
    "before going on": (queue_training, None, "before"),
    "after going on": (queue_training, None, "after"),
    "during the last part": (add_epochs, "train", "after"),
    "before the first is stopped": (stop_candidate, None, "before"),
    "after the first is stopped": (stop_candidate, None, "after"),
}


def search_and_die(plan: str, url: str, point: str) -> None:
    """Search until the given point is reached."""
    kill_at(point)
    search(load_plan(Path(plan)), storage=url)
