"""Converts observations to the form that samplers need: complete vectors of finite numbers, and constraints."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nas.strategies import Goal, Observation


@dataclass(frozen=True)
class SamplerOutcome:
    """The result of a trial, as samplers need it.

    Attributes:
        values: one finite value for each objective; None if the trial failed.
        constraints: limit → violation, positive if the limit is violated.
        placeholders: whether some values were not measured.
    """

    values: tuple[float, ...] | None
    constraints: Mapping[str, float] = field(default_factory=dict)
    placeholders: bool = False


FAILED = SamplerOutcome(None)


class Worst:
    """The worst value seen of each objective, which replaces unmeasured values of infeasible trials.

    Without finite values, Optuna would treat the trial as failed, and the sampler would not learn the limit.
    """

    def __init__(self, goal: Goal) -> None:
        self._goal = goal
        self._seen: dict[str, float] = {}

    def see(self, observations: Iterable[Observation]) -> bool:
        """Take observations into account; returns whether the worst value of any objective changed."""
        before = dict(self._seen)
        for observation in observations:
            if observation.state not in ("complete", "infeasible"):
                continue
            for name, direction in self._goal.objectives.items():
                value = observation.values.get(name, math.nan)
                if math.isfinite(value):
                    worse = min if direction == "maximize" else max
                    self._seen[name] = worse(value, self._seen.get(name, value))
        return before != self._seen

    def outcome(self, observation: Observation) -> SamplerOutcome:
        """The outcome of a finished suggestion for a sampler.

        ``failed`` and ``stopped`` suggestions count as failed, and so do complete ones that lack a finite value of an
        objective.
        """
        measured = [observation.values.get(name, math.nan) for name in self._goal.objectives]
        missing = not all(map(math.isfinite, measured))
        if observation.state == "complete" and not missing:
            return SamplerOutcome(tuple(measured), self._constraints(observation))
        if observation.state != "infeasible":
            return FAILED
        filled = tuple(
            value if math.isfinite(value) else self._seen.get(name, 0.0)
            for name, value in zip(self._goal.objectives, measured, strict=True)
        )
        return SamplerOutcome(filled, self._constraints(observation), placeholders=missing)

    def _constraints(self, observation: Observation) -> dict[str, float]:
        found = {name: float(observation.violations.get(name, 0.0)) for name in self._goal.limits}
        if observation.state == "infeasible" and not any(violation > 0 for violation in found.values()):
            # Rejected for a reason other than the study's limits; it counts as a relative violation of 1.
            found["rejected"] = 1.0
        return found
