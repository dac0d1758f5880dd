"""Regularized (aging) evolution (Real et al. 2019), for several objectives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from nas.strategies import Goal, Observation, Suggestion
from nas.strategies.history import DistinctStrategy
from nas.strategies.parameters import check_whole
from nas.strategies.ranking import Ranks, constrained_ranks, crowding_distances, losses_of
from nas.strategies.seeds import suggestion_seed

if TYPE_CHECKING:
    from nas.space import Chooser, Value

T = TypeVar("T")
#: Largest number of tournaments for one proposal: the winner's neighbours may all be known.
_TOURNAMENTS = 20


class RegularizedEvolutionStrategy(DistinctStrategy):
    """Changes one answer of the winner of a tournament among the newest candidates (Real et al. 2019).

    The population holds the newest finished candidates: the oldest one leaves it when another finishes, however good it
    is. A tournament draws some of them at random, and the best one becomes the parent.

    Differences from the paper: it has one objective and no limits. Here, the winner of a tournament is the candidate
    with the lowest non-dominated rank in the population, and among equals the one with the largest crowding distance;
    candidates that violate a limit rank last (Deb et al. 2002). No network is proposed twice.

    Args:
        goal: objectives and limits.
        seed: seed of the study.
        population_size: candidates in the population, of which the first are random; the paper has 100.
        sample_size: candidates that are drawn for a tournament, with replacement; the paper has 25.

    Raises:
        PlanError: a value is out of range.
    """

    def __init__(self, goal: Goal, seed: int, *, population_size: int = 20, sample_size: int = 5) -> None:
        super().__init__(goal, seed)
        check_whole("regularized_evolution", "population_size", population_size, least=1)
        check_whole("regularized_evolution", "sample_size", sample_size, least=1)
        self._population_size, self._sample_size = population_size, sample_size

    def propose(self, build: Callable[[Chooser], T], number: int) -> tuple[Suggestion, T]:
        """See ``Strategy.propose``."""
        generator = np.random.default_rng(suggestion_seed(self.seed, number))
        answers = None if number < self._population_size else self._child(generator)
        return self._history.propose(build, number, answers, generator)

    def _child(self, generator: np.random.Generator) -> Mapping[str, Value] | None:
        """A new neighbour of the winner of a tournament; None if none was found."""
        population = self._history.results()[-self._population_size :]
        if not population:
            return None
        order = self._places_in_order(population)
        for _ in range(_TOURNAMENTS):
            drawn = generator.integers(len(population), size=self._sample_size)
            winner = population[int(drawn[np.argmin(order[drawn])])]
            if new := self._history.new_neighbours(winner.suggestion):
                changes = list(new.values())[generator.integers(len(new))]
                return changes[generator.integers(len(changes))]
        return None

    def _places_in_order(self, population: Sequence[Observation]) -> Ranks:
        """Place of each candidate in the order from the best to the worst, ``(n,)``."""
        ranks = constrained_ranks(population, self.goal)
        distances = np.zeros(len(population))
        complete = np.array([item.state == "complete" for item in population])
        for rank in np.unique(ranks[complete]):
            rows = np.flatnonzero(complete & (ranks == rank))
            distances[rows] = crowding_distances(losses_of([population[int(row)] for row in rows], self.goal))
        return np.asarray(np.argsort(np.lexsort((-distances, ranks))))
