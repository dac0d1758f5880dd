"""A strategy of your own: aging evolution (Real et al. 2019), for any number of objectives."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from nas.errors import PlanError
from nas.space.chooser import FixedVectorChooser, RandomChooser
from nas.strategies import Goal, Observation, Strategy, Suggestion
from nas.strategies.seeds import suggestion_seed

if TYPE_CHECKING:
    from nas.space import Chooser, Value

T = TypeVar("T")


class AgingEvolution(Strategy):
    """Changes one answer of a good young candidate; old candidates are forgotten, however good they are.

    Differences from the paper: there are several objectives, so the winner of a tournament is the youngest member
    that no other member beats; a candidate that exceeds a limit loses to one that is closer to the limit.

    Args:
        goal: objectives and limits.
        seed: seed of the study.
        population: number of youngest candidates that may become parents, at least 2; the first ones are random.
        tournament: number of them that compete to become a parent.
    """

    def __init__(self, goal: Goal, seed: int, *, population: int = 20, tournament: int = 5) -> None:
        super().__init__(goal, seed)
        if population < 2 or tournament < 1:
            raise PlanError(f"aging evolution: population {population!r}, tournament {tournament!r}; at least 2 and 1")
        self._population, self._tournament = population, tournament
        self._known: dict[int, Observation] = {}

    def propose(self, build: Callable[[Chooser], T], number: int) -> tuple[Suggestion, T]:
        """See ``Strategy.propose``."""
        seed = suggestion_seed(self.seed, number)
        alive = [self._known[key] for key in sorted(self._known)[-self._population :]]
        chooser: Chooser = RandomChooser(seed)
        if len(alive) == self._population:
            chooser = FixedVectorChooser(self._child(alive, random.Random(seed)))
        built = build(chooser)
        return Suggestion.from_chooser(number, chooser), built

    def observe(self, observations: Sequence[Observation]) -> None:
        """See ``Strategy.observe``."""
        judged = ("complete", "infeasible")
        self._known |= {item.suggestion.number: item for item in observations if item.state in judged}

    def _child(self, alive: Sequence[Observation], luck: random.Random) -> dict[str, Value]:
        members = luck.sample(alive, min(self._tournament, len(alive)))
        winners = [one for one in members if not any(self._beats(other, one) for other in members)]
        parent = max(winners, key=lambda item: item.suggestion.number).suggestion
        answers = dict(parent.answers)
        question = luck.choice([item for item in parent.questions if len(item.options) > 1])
        answers[question.name] = luck.choice(
            [option for option in question.options if option != answers[question.name]]
        )
        return answers

    def _beats(self, one: Observation, other: Observation) -> bool:
        outside = [max(0.0, *item.violations.values(), 0.0) for item in (one, other)]
        if any(outside):
            return outside[0] < outside[1]
        ours, theirs = self._losses(one), self._losses(other)
        return ours != theirs and all(mine <= yours for mine, yours in zip(ours, theirs, strict=True))

    def _losses(self, item: Observation) -> list[float]:
        signs = {"maximize": -1.0, "minimize": 1.0}
        return [signs[direction] * item.values[name] for name, direction in self.goal.objectives.items()]
