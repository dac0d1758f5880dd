"""Past networks of a study: which networks are new, and which past ones have a result."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from nas.space.chooser import FixedVectorChooser, RandomChooser
from nas.space.moves import neighbours
from nas.strategies import Goal, Observation, Strategy, Suggestion
from nas.strategies.pareto_bo.codes import Coder, Levels
from nas.strategies.pareto_bo.moves import all_networks

if TYPE_CHECKING:
    from nas.space import Chooser, Question, Value

T = TypeVar("T")
Flags = npt.NDArray[np.bool_]
#: Number of draws to find a random network that is new.
_DRAWS = 100


class KnownNetworks:
    """The networks that were proposed so far.

    A network is known if it has the answers of a proposed network to all questions that have an effect on that one: the
    same questions then have an effect on both. Answers without effect are ignored.
    """

    def __init__(self) -> None:
        self._numbers: set[int] = set()
        self._coder: Coder | None = None
        self._answers: list[tuple[Levels, Flags]] = []
        self._everything: Levels | None = None
        self._is_new = np.empty(0, dtype=np.bool_)

    @property
    def coder(self) -> Coder:
        """The coder of the space's questions, which are known after the first suggestion."""
        assert self._coder is not None
        return self._coder

    def add(self, suggestion: Suggestion) -> None:
        """Remember a suggestion; repeating a call does nothing."""
        if suggestion.number in self._numbers:
            return
        self._numbers.add(suggestion.number)
        if self._coder is None:
            self._coder = Coder(suggestion.questions)
            self._everything = all_networks(self._coder.sizes)
            self._is_new = np.ones(0 if self._everything is None else len(self._everything), dtype=np.bool_)
        if _asked(suggestion.questions) != _asked(self._coder.questions):
            self._everything = None  # builds ask different questions, so nobody knows what everything is
            return
        active = np.array([question.active for question in suggestion.questions], dtype=np.bool_)
        answers = self._coder.places(suggestion.answers), active
        self._answers.append(answers)
        if self._everything is not None:
            self._is_new &= ~_equal(self._everything, *answers)

    def are_new(self, places: Levels) -> Flags:
        """Whether each of m networks is new, ``(m,)``, from the indices of their answers ``(m, d)``."""
        found = np.ones(len(places), dtype=np.bool_)
        for answers in self._answers:
            found &= ~_equal(places, *answers)
        return found

    def is_new(self, suggestion: Suggestion) -> bool:
        """Whether the suggested network is new."""
        if self._coder is None or _asked(suggestion.questions) != _asked(self._coder.questions):
            return True
        return bool(self.are_new(self._coder.places(suggestion.answers)[None])[0])

    def random_new(self, generator: np.random.Generator) -> Mapping[str, Value] | None:
        """Answers of a random new network; None if none was found, or if no question is known."""
        if self._coder is None:
            return None
        if self._everything is not None:
            new = self._everything[self._is_new]
        else:
            sizes = self._coder.sizes
            drawn = generator.integers(0, sizes, size=(_DRAWS, len(sizes)))
            new = drawn[self.are_new(drawn)]
        return self._coder.answers(new[generator.integers(len(new))]) if len(new) else None

    @property
    def is_everything(self) -> bool:
        """Whether all networks of a small space are known; False for a large space."""
        return self._everything is not None and not self._is_new.any()


class History:
    """The observations of a study, for strategies that propose no network twice.

    Args:
        goal: objectives and limits.
    """

    def __init__(self, goal: Goal) -> None:
        self._goal = goal
        self._observations: dict[int, Observation] = {}
        self.known = KnownNetworks()

    def observe(self, observations: Sequence[Observation]) -> None:
        """See ``Strategy.observe``."""
        for item in observations:
            self._observations[item.suggestion.number] = item
            self.known.add(item.suggestion)

    def results(self) -> list[Observation]:
        """Networks to learn from, in the order of proposal: complete ones with all objectives, and infeasible ones."""
        ordered = [self._observations[number] for number in sorted(self._observations)]
        return [item for item in ordered if item.state == "infeasible" or self._is_complete(item)]

    def _is_complete(self, observation: Observation) -> bool:
        values = [observation.values.get(name, math.nan) for name in self._goal.objectives]
        return observation.state == "complete" and all(map(math.isfinite, values))

    def new_neighbours(self, parent: Suggestion) -> dict[str, list[Mapping[str, Value]]]:
        """Question → answers of all new networks that differ from ``parent`` in this question's answer only."""
        around = list(neighbours(parent.answers, parent.questions))
        if not around:
            return {}
        coder = self.known.coder
        new = self.known.are_new(np.stack([coder.places(answers) for answers in around]))
        found: dict[str, list[Mapping[str, Value]]] = {}
        for answers in itertools.compress(around, new):
            changed = next(name for name, value in answers.items() if repr(value) != repr(parent.answers[name]))
            found.setdefault(changed, []).append(answers)
        return found

    def propose(
        self,
        build: Callable[[Chooser], T],
        number: int,
        answers: Mapping[str, Value] | None,
        generator: np.random.Generator,
    ) -> tuple[Suggestion, T]:
        """Propose the network with these answers.

        Without answers, a random new network is proposed, or any random one if no new one was found.
        """
        answers = self.known.random_new(generator) if answers is None else answers
        seed = int(generator.integers(2**32))
        chooser = RandomChooser(seed) if answers is None else FixedVectorChooser(answers)
        built = build(chooser)
        return Suggestion.from_chooser(number, chooser), built


class DistinctStrategy(Strategy):
    """Base of strategies that propose no network twice, and report when all of a small space was proposed."""

    def __init__(self, goal: Goal, seed: int) -> None:
        super().__init__(goal, seed)
        self._history = History(goal)

    def exhausted(self, number: int) -> bool:
        """Whether all networks of a small space were proposed."""
        return self._history.known.is_everything

    def observe(self, observations: Sequence[Observation]) -> None:
        """See ``Strategy.observe``."""
        self._history.observe(observations)


def _equal(places: Levels, known: Levels, active: Flags) -> Flags:
    """Whether each of m networks equals one known network, ``(m,)``."""
    return np.asarray((places[:, active] == known[active]).all(axis=1))


def _asked(questions: Sequence[Question]) -> list[tuple[str, tuple[Value, ...]]]:
    return [(question.name, question.options) for question in questions]
