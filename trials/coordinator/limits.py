"""Limits of a study's jobs: from the plan, or by default far above the time that trainings have taken so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from trials.coordinator.assignment import Assignment
from trials.coordinator.pipeline import Step
from trials.executors import JobLimits
from trials.plans.plan import Plan

#: Default limits in minutes: of the first training, of a job that measures, and the smallest for later trainings.
FIRST_MINUTES, MEASURE_MINUTES, MIN_MINUTES = 24 * 60.0, 60.0, 30.0
#: Default limit of a later training, as a multiple of the longest training so far.
TIMES_LONGEST = 10.0


class Limits:
    """Computes the limits of a study's jobs."""

    def __init__(self, plan: Plan) -> None:
        self._resources = plan.resources
        self._longest_s = 0.0

    def trained(self, seconds: float) -> None:
        """Record the time of a training that has ended."""
        self._longest_s = max(self._longest_s, seconds)

    def of(self, step: Step) -> JobLimits:
        """Return the limits of a step's job."""
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
    """Return the folders on this machine that a study's jobs write to."""
    return [str(Path(given.checkpoints).parent), *([] if "://" in given.artifacts else [given.artifacts])]
