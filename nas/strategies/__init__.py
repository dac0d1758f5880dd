"""Strategies: algorithms that propose candidates from the results so far."""

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
#: Key of a suggestion's state for the features of its network.
FEATURES = "features"
#: Begin of the names of features that are latencies in ms of the network on other targets, followed by the target.
OTHER_TARGET = "latency_ms on "
#: Key of a suggestion's state for predictions made before it was measured: objective or limit → [value, low end, high
#: end of its 95 % interval].
PREDICTED = "predicted"


@dataclass(frozen=True)
class Goal:
    """The goal of a study: its objectives, in their order, and its limits by metric."""

    #: Metric → direction.
    objectives: Mapping[str, Literal["maximize", "minimize"]]
    #: Metric → its limit, with absolute numbers.
    limits: Mapping[str, Limit]


@dataclass(frozen=True)
class Limit:
    """Bounds on a metric that a candidate must keep."""

    min: float | None = None
    max: float | None = None

    def violation(self, value: float) -> float:
        """Distance of ``value`` beyond the bound, relative to the bound; 0 or less if the limit is kept."""
        outside = []
        if self.max is not None:
            outside.append((value - self.max) / (abs(self.max) or 1.0))
        if self.min is not None:
            outside.append((self.min - value) / (abs(self.min) or 1.0))
        return max(outside, default=0.0)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A proposal of the strategy: all questions, including those without effect, and their answers."""

    number: int
    questions: tuple[Question, ...]
    answers: Mapping[str, Value]
    #: State that the sampler needs when it is rebuilt, as JSON values.
    sampler_state: Mapping[str, Any] = field(default_factory=dict)
    #: Whether a person gave some of the answers, and not the strategy.
    enqueued: bool = False

    @classmethod
    def from_chooser(cls, number: int, chooser: Chooser, sampler_state: Mapping[str, Any] | None = None) -> Suggestion:
        """Make a suggestion of the questions and answers of a chooser in one build."""
        return cls(number, tuple(chooser.questions.values()), dict(chooser.answers), dict(sampler_state or {}))


@dataclass(frozen=True, slots=True)
class Observation:
    """A suggestion and its result."""

    suggestion: Suggestion
    #: ``measured_only``: measured and within the limits that are known by then, but not trained, at least not yet.
    #: ``paused``: its training waits at a rung; a score is what is expected at the end, and is missing at first. A
    #: ``stopped`` one that had reached a rung has such scores, too.
    state: Literal["running", "measured_only", "paused", "complete", "infeasible", "failed", "stopped"]
    #: Objective → value, for the objectives that were measured.
    values: Mapping[str, float] = field(default_factory=dict)
    #: Limit → relative violation, positive if the limit is violated.
    violations: Mapping[str, float] = field(default_factory=dict)
    #: Objective → standard deviation of its value, for objectives with a measured interval.
    spreads: Mapping[str, float] = field(default_factory=dict)
    #: Zero-cost proxy → score of the untrained network, for the ``proxies`` of the strategy that could score it.
    proxies: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EarlierStudy:
    """Results of an earlier study, from which another study starts."""

    name: str
    #: Complete candidates, with values of the other study's objectives as far as the earlier study has them.
    observations: tuple[Observation, ...]


@runtime_checkable
class Described(Protocol):
    """A built network whose features are known before it is trained; ``build`` may return such an object."""

    @property
    def features(self) -> Mapping[str, float]:
        """Counts of operators, parameters, MACs, bits …; a network may lack some of the names.

        Names that start with ``OTHER_TARGET`` are latencies on other targets.
        """


class Strategy(ABC):
    """Proposes candidates. All its state can be rebuilt from the observations.

    Parameters are keyword arguments after ``goal`` and ``seed``, which a plan may set.
    """

    #: The paper that the strategy implements.
    paper: Paper | None = None
    #: Whether proposals depend on observations, so that the strategy avoids networks that violate a limit.
    learns: ClassVar[bool] = True
    #: Whether it proposes networks of the whole space. If not, a study evaluates only its proposals, and not even the
    #: original network of a space that has one.
    searches: ClassVar[bool] = True
    #: Whether ``choose`` compares measured candidates, so that it pays to measure more of them than are trained.
    chooses: ClassVar[bool] = False
    #: Whether ``start_from`` uses results of earlier studies.
    starts_warm: ClassVar[bool] = False
    #: Whether ``use_priors`` takes beliefs about good networks into account.
    has_priors: ClassVar[bool] = False
    #: Zero-cost proxies (``nas.proxies``) whose scores the strategy observes; they are computed when a candidate is
    #: measured.
    proxies: tuple[str, ...] = ()

    def __init__(self, goal: Goal, seed: int) -> None:
        self.goal = goal
        self.seed = seed

    @abstractmethod
    def propose(self, build: Callable[[Chooser], T], number: int) -> tuple[Suggestion, T]:
        """Propose one candidate: its suggestion, and the object that ``build`` returned for it.

        The proposal depends only on seed, ``number`` and observations.

        Args:
            build: builds the network that a chooser's answers describe; may be called several times, each time with a
                new chooser. The object it returns may be ``Described``.
            number: number of the suggestion, which is the number of stored ones.
        """

    def check(self, build: Callable[[Chooser], object]) -> None:  # noqa: B027  (most propose in any space)
        """Raise PlanError if the strategy can't propose networks of the space that ``build`` represents."""

    def start_from(self, studies: Sequence[EarlierStudy]) -> None:  # noqa: B027  (only for those that start warm)
        """Take results of earlier studies into account; called before the first ``observe``.

        An earlier study may be of another task or target, have other questions, or be misleading.
        """

    def use_priors(self, priors: Mapping[str, Sequence[float]]) -> None:  # noqa: B027  (only for those with priors)
        """Take beliefs about good networks into account; called before the first proposal.

        Args:
            priors: question → positive weight of each of its options, in their order.
        """

    def choose(self, measured: Sequence[int], number: int) -> int:
        """Choose the measured candidate that is trained next; by default, the one that was suggested first.

        The choice depends only on seed, arguments and observations.

        Args:
            measured: numbers of the suggestions of the candidates to choose from, at least one; all of them were
                observed as ``measured_only``.
            number: number of stored suggestions.

        Returns:
            One of ``measured``.
        """
        return min(measured)

    def adopt(self, suggestion: Suggestion, built: object) -> Suggestion:
        """Return a suggestion that a person made, with the state that the strategy needs to learn from it.

        Args:
            suggestion: the suggestion; without state, it is returned unchanged.
            built: the object that ``build`` returned for it.
        """
        return suggestion

    def exhausted(self, number: int) -> bool:
        """Whether the strategy has nothing more to propose after ``number`` suggestions."""
        return False

    @abstractmethod
    def observe(self, observations: Sequence[Observation]) -> None:
        """Learn the results of suggestions.

        ``running``, ``measured_only`` and ``paused`` ones may be passed again later in another state. Ones that have
        reached a rung are passed again when other values are expected of them. This is called once with the
        stored history when a study starts, then whenever something changes. A duplicate is passed with the values of
        the candidate that it repeats. Final states never change: if measurements are withdrawn, a new strategy is made,
        which gets the history without them.
        """


STRATEGIES: Registry[type[Strategy]] = Registry(
    "strategies",
    {
        "given": "nas.strategies.given:GivenStrategy",
        "parego": "nas.strategies.parego:ParegoStrategy",
        "pareto_bo": "nas.strategies.pareto_bo:ParetoBoStrategy",
        "pareto_local_search": "nas.strategies.pareto_local_search:ParetoLocalSearchStrategy",
        "regularized_evolution": "nas.strategies.regularized_evolution:RegularizedEvolutionStrategy",
        "random": "nas.strategies.random:RandomStrategy",
        "nsga2": "nas.strategies.nsga2:Nsga2Strategy",
        "tpe": "nas.strategies.tpe:TpeStrategy",
    },
    subclasses_of=Strategy,
    families={"optuna": "nas.strategies.optuna_strategy:optuna_strategy"},
)
