"""What a study's jobs may take: what the plan says, else much more than trainings have taken so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from trials.coordinator.assignment import Assignment
from trials.coordinator.pipeline import Step
from trials.executors import JobLimits
from trials.plans.plan import Plan

#: Minutes of a training before any has ended, of a job that measures, and the least of a later training.
FIRST_MINUTES, MEASURE_MINUTES, MIN_MINUTES = 24 * 60.0, 60.0, 30.0
#: How many times the longest training so far another one may take.
TIMES_LONGEST = 10.0


class Limits:
    """Limits of a study's jobs."""

    def __init__(self, plan: Plan) -> None:
        self._resources = plan.resources
        self._longest_s = 0.0

    def trained(self, seconds: float) -> None:
        """A training came to its end."""
        self._longest_s = max(self._longest_s, seconds)

    def of(self, step: Step) -> JobLimits:
        """The limits of a step's job."""
        is_training = not step[1]
        given = self._resources.train if is_training else self._resources.measure
        minutes = given.max_minutes or (self._training_minutes() if is_training else MEASURE_MINUTES)
        memory_bytes = None if given.max_memory_mb is None else math.ceil(given.max_memory_mb * 1e6)
        return JobLimits(60 * minutes, memory_bytes, f"resources.{'train' if is_training else 'measure'}")

    def _training_minutes(self) -> float:
        if not self._longest_s:
            return FIRST_MINUTES
        return max(MIN_MINUTES, TIMES_LONGEST * self._longest_s / 60)


def written_folders(given: Assignment) -> Sequence[str]:
    """Folders of this machine that a study's jobs write to."""
    return [str(Path(given.checkpoints).parent), *([] if "://" in given.artifacts else [given.artifacts])]
