"""Strategy that proposes the networks of a list, in their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from nas.errors import PlanError, SpaceError
from nas.space.chooser import ReplayChooser
from nas.strategies import Goal, Observation, Strategy, Suggestion

if TYPE_CHECKING:
    from nas.space import Chooser, Value

T = TypeVar("T")
_EXAMPLE = "as in [{depth: 2, width: 16}] or under `choices` in an exported architecture.json"


class GivenStrategy(Strategy):
    """Proposes the networks of a list, in its order.

    After the last one, the study is exhausted. A list that does not fit the space is refused before anything runs. The
    companions of a study use this strategy.

    Args:
        goal: objectives and limits; they have no effect.
        seed: has no effect.
        choices: one mapping per network, choice → answer, as under ``choices`` in an exported ``architecture.json``:
            all choices that have an effect, and no others; at least one network.
    """

    learns, searches = False, False

    def __init__(self, goal: Goal, seed: int, choices: Sequence[Mapping[str, Value]] = ()) -> None:
        super().__init__(goal, seed)
        if not isinstance(choices, list | tuple) or not all(isinstance(item, Mapping) for item in choices):
            raise PlanError(
                f"strategy given: choices is {choices!r}; give a list with a mapping for each network, {_EXAMPLE}"
            )
        if not choices:
            raise PlanError(f"strategy given: choices are empty; list at least one network, {_EXAMPLE}")
        self._choices = tuple(dict(item) for item in choices)

    def check(self, build: Callable[[Chooser], object]) -> None:
        """See ``Strategy.check``."""
        for index in range(len(self._choices)):
            try:
                self.propose(build, index)
            except SpaceError as error:
                raise PlanError(f"strategy given: choices.{index} does not fit this space: {error}") from error

    def propose(self, build: Callable[[Chooser], T], number: int) -> tuple[Suggestion, T]:
        """See ``Strategy.propose``."""
        chooser = ReplayChooser(self._choices[number])
        built = build(chooser)
        chooser.finish()
        return Suggestion.from_chooser(number, chooser), built

    def exhausted(self, number: int) -> bool:
        """See ``Strategy.exhausted``."""
        return number >= len(self._choices)

    def observe(self, observations: Sequence[Observation]) -> None:
        """See ``Strategy.observe``; does nothing, because this strategy does not learn."""
