"""The original: the user's own unchanged network, the first candidate of a study whose space holds one network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from nas.errors import OriginalError
from nas.space import Network
from nas.space.chooser import PositionChooser
from nas.strategies import Limit, Suggestion
from trials.coordinator.description import describe
from trials.plans.plan import Bound, Relative
from trials.plans.problem import Problem
from trials.store.records import ArchitectureValue, MetricValue

#: Number of the original's trial and suggestion; it is always proposed first.
NUMBER = 0


@dataclass(frozen=True)
class Original:
    """The network that a space holds, unchanged by policies."""

    network: Network
    #: Whether its weights are complete, from a file. If so it is scored unchanged; else it is trained like a candidate.
    trained: bool

    def suggestion(self, problem: Problem) -> Suggestion:
        """Return the suggestion whose answers lead to this network; without questions if no answers do."""
        chooser = PositionChooser(1.0)  # the most expensive options: full precision, every weight
        same = problem.identity(problem.searched.sample(chooser)) == problem.identity(self.network)
        return Suggestion.from_chooser(NUMBER, chooser) if same else Suggestion(NUMBER, (), {})

    def described(self, problem: Problem) -> ArchitectureValue:
        """Return its row. If it is not trained, its identity differs from the same network when trained."""
        found = describe(problem, self.network)
        if not self.trained:
            return found
        return replace(found, identity=hashlib.sha256(f"as it is\n{found.identity}".encode()).hexdigest())


def original_of(problem: Problem) -> Original | None:
    """Return the original of a study; None if the space has choices or the strategy proposes a given list."""
    network = problem.untouched()
    return Original(network, problem.searched.space.trained(network.model)) if network else None


def waiting_for_original(problem: Problem, limits: Mapping[str, Limit]) -> list[str]:
    """Return the names of limits that are relative to the original and have no number yet."""
    return [
        name
        for name, bound in problem.plan.limits.items()
        for side in ("min", "max")
        if relative_to_original(getattr(bound, side)) and getattr(limits[name], side) is None
    ]


def relative_to_original(side: float | Relative | None) -> bool:
    """Whether one side of a bound is a multiple of the original's value."""
    return isinstance(side, Relative) and side.relative_to == "original"


def settled(
    problem: Problem, limits: Mapping[str, Limit], metrics: Mapping[tuple[str, str], MetricValue]
) -> dict[str, Limit]:
    """Return the limits with the numbers that follow from the finished original.

    Raises:
        OriginalError: the original has no value for one of them.
    """
    found = dict(limits)
    for name in dict.fromkeys(waiting_for_original(problem, limits)):
        metric = metrics.get(problem.metric_key(name))
        if metric is None:
            raise OriginalError(
                f"limits: {name} is relative to the original, which ended without {name}; see why with nas show, then "
                "fix the network, or give a number as the limit, and start a new study"
            )
        found[name] = _limit(problem.plan.limits[name], limits[name], metric.value)
    return found


def _limit(bound: Bound, before: Limit, value: float) -> Limit:
    def number(side: float | Relative | None, known: float | None) -> float | None:
        return side.factor * value if isinstance(side, Relative) and known is None else known

    return Limit(min=number(bound.min, before.min), max=number(bound.max, before.max))
