"""Strategies: what to try next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

from nas.papers import Paper
from nas.registry import Registry

if TYPE_CHECKING:
    from nas.space import Chooser, Question, Value

T = TypeVar("T")


@dataclass(frozen=True)
class Goal:
    """What a study looks for: the objectives in their order, and the limits by metric."""

    #: Metric → direction.
    objectives: Mapping[str, Literal["maximize", "minimize"]]
    #: Metric → largest allowed value (or smallest, for a metric with ``min``); resolved numbers.
    limits: Mapping[str, Limit]


@dataclass(frozen=True)
class Limit:
    """A hard bound on a metric."""

    min: float | None = None
    max: float | None = None

    def violation(self, value: float) -> float:
        """How far ``value`` is outside, relative to the bound; 0 or less within."""
        outside = []
        if self.max is not None:
            outside.append((value - self.max) / (abs(self.max) or 1.0))
        if self.min is not None:
            outside.append((self.min - value) / (abs(self.min) or 1.0))
        return max(outside, default=0.0)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A point of the fixed vector a sampler sees: every question asked, those of skipped slots included."""

    number: int
    questions: tuple[Question, ...]
    answers: Mapping[str, Value]
    #: What the sampler wants back when its memory is rebuilt (JSON values).
    sampler_state: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_chooser(cls, number: int, chooser: Chooser, sampler_state: Mapping[str, Any] | None = None) -> Suggestion:
        """What a chooser was asked and answered in one build."""
        return cls(number, tuple(chooser.questions.values()), dict(chooser.answers), dict(sampler_state or {}))


@dataclass(frozen=True, slots=True)
class Observation:
    """A suggestion and what became of it."""

    suggestion: Suggestion
    state: Literal["running", "complete", "infeasible", "failed", "stopped"]
    #: Objective → value, those that were measured.
    values: Mapping[str, float] = field(default_factory=dict)
    #: Limit → relative violation, positive if outside.
    violations: Mapping[str, float] = field(default_factory=dict)
    #: Objective → standard deviation of its value, where an interval was measured.
    spreads: Mapping[str, float] = field(default_factory=dict)


@runtime_checkable
class Described(Protocol):
    """What ``build`` returns where more than answers is known of a network before it is trained."""

    @property
    def features(self) -> Mapping[str, float]:
        """Counts of operators, parameters, multiply-accumulates, bits …; the same names for every network or fewer."""


class Strategy(ABC):
    """Proposes candidates. Holds nothing that can't be rebuilt from the observations.

    The parameters are the plan's, keyword arguments after ``goal`` and ``seed``.
    """

    #: The paper it is from.
    paper: Paper | None = None
    #: Whether it chooses by what it observed, so that it avoids networks over a limit.
    learns: ClassVar[bool] = True
    #: Whether it proposes networks of the whole space. If not, a study evaluates nothing beside what it proposes, not
    #: even the original network of a space that has one.
    searches: ClassVar[bool] = True

    def __init__(self, goal: Goal, seed: int) -> None:
        self.goal = goal
        self.seed = seed

    @abstractmethod
    def propose(self, build: Callable[[Chooser], T], number: int) -> tuple[Suggestion, T]:
        """Propose one candidate: the answers to its questions, and what ``build`` returned for them.

        ``build`` may be called several times, each time with a new chooser; what it returns may be ``Described``.

        With equal seed, ``number`` (how many suggestions are stored) and observations, equal proposals.
        """

    def check(self, build: Callable[[Chooser], object]) -> None:  # noqa: B027  (most propose in any space)
        """Raise PlanError if it could not propose networks that ``build`` makes."""

    def exhausted(self, number: int) -> bool:
        """Whether there is nothing more to propose after ``number`` suggestions."""
        return False

    @abstractmethod
    def observe(self, observations: Sequence[Observation]) -> None:
        """Learn what became of suggestions; ``running`` ones may come again in a final state later.

        Called once with the stored history when a study starts, then whenever something changes. A repeated
        suggestion arrives with the values of the candidate it repeats. A final state is final: where measurements are
        taken back, a new strategy is made and told the history without them.
        """


STRATEGIES: Registry[type[Strategy]] = Registry(
    "strategies",
    {
        "given": "nas.strategies.given:GivenStrategy",
        "pareto_bo": "nas.strategies.pareto_bo:ParetoBoStrategy",
        "random": "nas.strategies.random:RandomStrategy",
        "nsga2": "nas.strategies.nsga2:Nsga2Strategy",
        "tpe": "nas.strategies.tpe:TpeStrategy",
    },
    subclasses_of=Strategy,
)
