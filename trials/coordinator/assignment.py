"""What a coordinator is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas.strategies import Limit
from trials.plans.problem import Problem


@dataclass(frozen=True)
class Assignment:
    """A study whose lease the coordinator holds, resolved."""

    study_id: int
    epoch: int
    problem: Problem
    #: Those relative to a score of the original get their numbers once it is known.
    limits: dict[str, Limit]
    #: What every job's payload shares: plan (JSON text), study, artifacts, work, targets.
    shared: Mapping[str, Any]
    #: Number of the candidate that is the original, if there is one.
    original: int | None = None

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.shared["study"])

    @property
    def targets(self) -> Mapping[str, Any]:
        """Name of a target → its description, as jobs get it."""
        return self.shared["targets"]  # type: ignore[no-any-return]
