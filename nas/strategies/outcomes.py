"""Observations as samplers want them: complete vectors of finite numbers, and constraints."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nas.strategies import Goal, Observation


@dataclass(frozen=True)
class SamplerOutcome:
    """What became of a trial, in the words of a sampler.

    Attributes:
        values: one for each objective, all finite; None if the trial failed.
        constraints: limit → violation, positive if outside.
        placeholders: whether a value was not measured.
    """

    values: tuple[float, ...] | None
    constraints: Mapping[str, float] = field(default_factory=dict)
    placeholders: bool = False


FAILED = SamplerOutcome(None)


class Worst:
    """The worst value seen of each objective: what an infeasible trial gets for what was not measured.

    Without finite values Optuna would take the trial for failed, and the sampler would never learn the limit.
    """

    def __init__(self, goal: Goal) -> None:
        self._goal = goal
        self._seen: dict[str, float] = {}

    def see(self, observations: Iterable[Observation]) -> bool:
        """Take values into account; whether the worst value of any objective changed."""
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
        """What to tell a sampler about a finished suggestion.

        ``failed`` and ``stopped`` ones failed; so did complete ones without a finite value of an objective.
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
            # Rejected for a reason that no limit of the study knows: as far outside as its whole bound.
            found["rejected"] = 1.0
        return found
