"""The assignment of a coordinator: the study it runs, and everything it needs for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nas.strategies import Limit
from trials.plans.problem import Problem
from trials.store.records import Lease


@dataclass(frozen=True)
class Assignment:
    """A study whose lease the coordinator holds, with its problem, limits, targets and folders."""

    name: str
    lease: Lease
    problem: Problem
    #: Limits relative to a score of the original get their numbers once the score is known.
    limits: dict[str, Limit]
    #: Name of a target → ``nas.latency.targets.Target`` as JSON.
    targets: Mapping[str, Mapping[str, Any]]
    #: Folder or URI of the study's artifacts.
    artifacts: str
    #: Folder where trainings keep their state.
    checkpoints: str
    #: Fingerprint of the data that the study started with; None if unknown.
    data: str | None = None
    #: Number of the candidate that is the original, if there is one.
    original: int | None = None

    @cached_property
    def plan(self) -> str:
        """The resolved plan, a JSON text."""
        return self.problem.plan.model_dump_json()
