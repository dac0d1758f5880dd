"""NSGA-II (Deb et al. 2002), as implemented in Optuna."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from optuna.samplers import BaseSampler, NSGAIISampler

from nas.strategies import Goal, Observation, Strategy, Suggestion
from nas.strategies.optuna_sampler import SamplerAdapter, Space
from nas.strategies.parameters import check_probability, check_whole

if TYPE_CHECKING:
    from nas.space import Chooser

T = TypeVar("T")


class Nsga2Strategy(Strategy):
    """Combines and mutates the best candidates of the last generation (Deb et al. 2002, as implemented in Optuna).

    Infeasible candidates rank behind all feasible ones.

    Args:
        goal: objectives and limits.
        seed: seed of the study.
        population_size: candidates per generation, at least 2; the first generation is random.
        crossover_prob: probability that a candidate has two parents.
        swapping_prob: probability that an answer comes from the second parent.
        mutation_prob: probability that an answer is drawn again; by default, on average one answer per candidate is
            drawn again.

    Raises:
        PlanError: a value is out of range.
    """

    def __init__(
        self,
        goal: Goal,
        seed: int,
        *,
        population_size: int = 20,
        crossover_prob: float = 0.9,
        swapping_prob: float = 0.5,
        mutation_prob: float | None = None,
    ) -> None:
        super().__init__(goal, seed)
        check_whole("nsga2", "population_size", population_size, least=2)
        check_probability("nsga2", "crossover_prob", crossover_prob)
        check_probability("nsga2", "swapping_prob", swapping_prob)
        if mutation_prob is not None:
            check_probability("nsga2", "mutation_prob", mutation_prob)
        self._parameters: dict[str, Any] = {
            "population_size": population_size,
            "crossover_prob": crossover_prob,
            "swapping_prob": swapping_prob,
            "mutation_prob": mutation_prob,
        }
        # The current and the last generation, and the same number again for candidates that run at the same time.
        self._adapter = SamplerAdapter(goal, seed, self._sampler, recent=max(100, 4 * population_size), pinned=_parents)

    def propose(self, build: Callable[[Chooser], T], number: int) -> tuple[Suggestion, T]:
        """See ``Strategy.propose``."""
        return self._adapter.propose(build, number)

    def exhausted(self, number: int) -> bool:
        """See ``Strategy.exhausted``; all networks of a small space were proposed."""
        return self._adapter.exhausted(number)

    def observe(self, observations: Sequence[Observation]) -> None:
        """See ``Strategy.observe``."""
        self._adapter.observe([in_a_generation(item) for item in observations])

    def _sampler(self, seed: int, space: Space) -> BaseSampler:
        return FixedSpaceNsga2(space, seed=seed, **self._parameters)


class FixedSpaceNsga2(NSGAIISampler):  # type: ignore[misc]
    """NSGA-II with a given search space; Optuna would compare the distributions of all trials at every suggestion."""

    def __init__(self, space: Space, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._space = {name: space[name] for name in sorted(space) if not space[name].single()}

    def infer_relative_search_space(self, study: Any, trial: Any) -> Space:
        """The questions that all finished trials were asked, sorted by name; see ``BaseSampler``."""
        return self._space


#: One object for all, because a study may have a hundred thousand.
_FIRST_GENERATION = {"trial": {FixedSpaceNsga2._get_generation_key(): 0}}


def in_a_generation(observation: Observation) -> Observation:
    """Assign a network that no genetic sampler proposed to the first generation, so that it can be a parent."""
    if observation.suggestion.sampler_state:
        return observation
    return replace(observation, suggestion=replace(observation.suggestion, sampler_state=_FIRST_GENERATION))


def _parents(attrs: Mapping[str, Any], observations: Mapping[int, Observation]) -> Iterable[int]:
    """Numbers of the parents of the newest generation, which may be older than the window."""
    generations = {int(key.rpartition(":")[2]): numbers for key, numbers in attrs.items() if ":parent:" in key}
    return generations[max(generations)] if generations else ()
