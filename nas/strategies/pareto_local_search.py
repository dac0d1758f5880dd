"""Pareto local search (Paquete, Chiarandini and Stützle 2004)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from nas.strategies import Goal, Suggestion
from nas.strategies.history import DistinctStrategy
from nas.strategies.parameters import check_whole
from nas.strategies.ranking import constrained_ranks
from nas.strategies.seeds import suggestion_seed

if TYPE_CHECKING:
    from nas.space import Chooser, Value

T = TypeVar("T")


class ParetoLocalSearchStrategy(DistinctStrategy):
    """Changes one answer of a random network of the front, and proposes no network twice.

    If all neighbours of the front are known, a random new network is proposed. As long as no candidate keeps the
    limits, the one with the smallest violation takes the place of the front.

    Difference from the paper (Paquete et al. 2004): all neighbours of a front member are not evaluated in a row. Each
    proposal starts from the front of that moment, so that results count at once.

    Args:
        goal: objectives and limits.
        seed: seed of the study.
        n_startup_trials: number of random candidates before the first neighbour.

    Raises:
        PlanError: a value is out of range.
    """

    def __init__(self, goal: Goal, seed: int, *, n_startup_trials: int = 10) -> None:
        super().__init__(goal, seed)
        check_whole("pareto_local_search", "n_startup_trials", n_startup_trials, least=1)
        self._num_random = n_startup_trials

    def propose(self, build: Callable[[Chooser], T], number: int) -> tuple[Suggestion, T]:
        """See ``Strategy.propose``."""
        generator = np.random.default_rng(suggestion_seed(self.seed, number))
        answers = None if number < self._num_random else self._neighbour(generator)
        return self._history.propose(build, number, answers, generator)

    def _neighbour(self, generator: np.random.Generator) -> Mapping[str, Value] | None:
        """A new neighbour of the front; None if there is none."""
        results = self._history.results()
        front = np.flatnonzero(constrained_ranks(results, self.goal) == 0)
        for row in generator.permutation(front):
            if new := self._history.new_neighbours(results[row].suggestion):
                answers = [item for changes in new.values() for item in changes]
                return answers[generator.integers(len(answers))]
        return None
