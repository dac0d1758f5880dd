"""The user's own network as it is: the first candidate of a study whose space holds one network."""

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

#: Number of the candidate and of its suggestion: nothing is proposed before.
NUMBER = 0


@dataclass(frozen=True)
class Original:
    """The network that a space holds, which no policy has changed."""

    network: Network
    #: Whether its weights are complete, from a file: then it is scored as it is, else trained like any candidate.
    trained: bool

    def suggestion(self, problem: Problem) -> Suggestion:
        """The answers that lead to this network; without questions where no answers do."""
        chooser = PositionChooser(1.0)  # the dearest options: full precision, every weight
        same = problem.identity(problem.searched.sample(chooser)) == problem.identity(self.network)
        return Suggestion.from_chooser(NUMBER, chooser) if same else Suggestion(NUMBER, (), {})

    def described(self, problem: Problem) -> ArchitectureValue:
        """Its row. One that is not trained is another experiment than the same network trained further."""
        found = describe(problem, self.network)
        if not self.trained:
            return found
        return replace(found, identity=hashlib.sha256(f"as it is\n{found.identity}".encode()).hexdigest())


def original_of(problem: Problem) -> Original | None:
    """The original of a study; None where the space asks questions or the strategy proposes a list."""
    network = problem.untouched()
    return Original(network, problem.searched.space.trained(network.model)) if network else None


def waiting_for_original(problem: Problem, limits: Mapping[str, Limit]) -> list[str]:
    """Names of limits that are relative to the original and have no number yet."""
    return [
        name
        for name, bound in problem.plan.limits.items()
        for side in ("min", "max")
        if relative_to_original(getattr(bound, side)) and getattr(limits[name], side) is None
    ]


def relative_to_original(side: float | Relative | None) -> bool:
    """Whether one side of a bound is a multiple of what the original has."""
    return isinstance(side, Relative) and side.relative_to == "original"


def settled(
    problem: Problem, limits: Mapping[str, Limit], metrics: Mapping[tuple[str, str], MetricValue]
) -> dict[str, Limit]:
    """The limits with the numbers that the finished original gives them.

    Raises:
        OriginalError: it lacks one of them.
    """
    found = dict(limits)
    for name in dict.fromkeys(waiting_for_original(problem, limits)):
        metric = metrics.get(problem.metric_key(name))
        if metric is None:
            raise OriginalError(
                f"limits: {name} is relative to the original, which ended without {name}; see why with nas show, then "
                "mend the network, or give a number as the limit, and start another study"
            )
        found[name] = _limit(problem.plan.limits[name], limits[name], metric.value)
    return found


def _limit(bound: Bound, before: Limit, value: float) -> Limit:
    def number(side: float | Relative | None, known: float | None) -> float | None:
        return side.factor * value if isinstance(side, Relative) and known is None else known

    return Limit(min=number(bound.min, before.min), max=number(bound.max, before.max))
