"""Runs a study and kills its process, as hard as can be, at a given point."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from trials.launch.studies import search
from trials.plans.loading import load_plan
from trials.store.store import Store


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(point: str) -> None:
    """Wrap the store's method at which the coordinator is to die."""
    name, kind, moment = POINTS[point]
    kinds: dict[int, str] = {}
    remember_kinds(kinds)
    method = getattr(Store, name)

    def wrapped(self: Store, *arguments: Any, **options: Any) -> Any:
        hit = kind is None or kinds.get(arguments[0 if name != "add_epochs" else 1]) == kind
        if hit and moment == "before":
            die()
        result = method(self, *arguments, **options)
        if hit and moment == "after":
            die()
        return result

    setattr(Store, name, wrapped)


def remember_kinds(kinds: dict[int, str]) -> None:
    """Job id → kind, noted as jobs are proposed and follow each other."""
    propose, commit = Store.propose, Store.commit_job

    def proposing(self: Store, study: int, epoch: int, suggestion: Any, architecture: Any, first: Any) -> Any:
        result = propose(self, study, epoch, suggestion, architecture, first)
        if hasattr(result, "job_id"):
            kinds[result.job_id] = first[0]
        return result

    def committing(self: Store, job: int, attempt: int, outcome: Any, **options: Any) -> Any:
        ids = commit(self, job, attempt, outcome, **options)
        kinds.update({job_id: step[0] for job_id, step in zip(ids or [], outcome.next_jobs, strict=True)})
        return ids

    Store.propose, Store.commit_job = proposing, committing  # type: ignore[method-assign]


#: Point → the store's method, the kind of job (None for any), and whether to die before or after it.
POINTS = {
    "after propose": ("propose", None, "after"),
    "during measuring": ("start_job", "gate", "after"),
    "during training": ("add_epochs", "train", "after"),
    "after training before commit": ("commit_job", "train", "before"),
    "after commit": ("commit_job", "train", "after"),
    "after the twin before commit": ("commit_job", "twin", "before"),
}


def search_and_die(plan: str, url: str, point: str) -> None:
    """Search until the point is reached."""
    kill_at(point)
    search(load_plan(Path(plan)), storage=url)
