"""Runs a study and kills its process with SIGKILL at a given point."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trials.coordinator.journal import Journal
from trials.coordinator.pipeline import TrialJob
from trials.launch.studies import search
from trials.plans.loading import load_plan
from trials.store.store import Store
from trials.store.write.rounds import write_round


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(point: str) -> None:
    """Wrap the coordinator's writes so that it is killed before or after one of them."""
    method, kind, moment = (POINTS | RUNGS)[point]
    rounds = hasattr(Journal, method)
    write, hits = Store.write, list[bool]()

    def written(self: Store, work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        hit = (work is write_round and any(hits)) if rounds else work.__name__ == method
        if hit and moment == "before":
            die()
        result = write(self, work, *arguments, **options)
        if hit and moment == "after":
            die()
        return result

    Store.write = written  # type: ignore[method-assign,assignment]
    if rounds:
        change = getattr(Journal, method)

        def changed(self: Journal, *arguments: Any) -> None:
            job = next((item for item in arguments if isinstance(item, TrialJob)), None)
            hits.append(kind is None or (job is not None and job.step[0] == kind))
            change(self, *arguments)

        setattr(Journal, method, changed)


#: Point → method of the journal or function of the store, the kind of job (None for any), and whether to die before or
#: after it is written.
POINTS: dict[str, tuple[str, str | None, str]] = {
    "after propose": ("propose", None, "after"),
    "during measuring": ("start", "gate", "after"),
    "after measuring": ("commit", "gate", "after"),
    "before choosing": ("queue_training", None, "before"),
    "after choosing": ("queue_training", None, "after"),
    "during training": ("end_epoch", "train", "after"),
    "after training before commit": ("commit", "train", "before"),
    "after commit": ("commit", "train", "after"),
    "after the twin before commit": ("commit", "twin", "before"),
}


#: Points of a study with halving, whose first rung is one epoch.
RUNGS: dict[str, tuple[str, str | None, str]] = {
    "during the first part": ("end_epoch", "rung-1", "after"),
    "at a rung before commit": ("commit", "rung-1", "before"),
    "at a rung": ("commit", "rung-1", "after"),
    "before going on": ("queue_training", None, "before"),
    "after going on": ("queue_training", None, "after"),
    "during the last part": ("end_epoch", "train", "after"),
    "before the first is stopped": ("stop_candidate", None, "before"),
    "after the first is stopped": ("stop_candidate", None, "after"),
}


def search_and_die(plan: str, url: str, point: str) -> None:
    """Search until the given point is reached."""
    kill_at(point)
    search(load_plan(Path(plan)), storage=url)
