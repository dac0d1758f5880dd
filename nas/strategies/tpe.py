"""Multivariate tree-structured Parzen estimators (Falkner et al. 2018; Ozaki et al. 2022), from Optuna."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, TPESampler

from nas.strategies import Goal, Observation, Strategy, Suggestion
from nas.strategies.optuna_sampler import SamplerAdapter, Space
from nas.strategies.parameters import check_whole
from nas.strategies.pareto import pareto_front

if TYPE_CHECKING:
    from nas.space import Chooser

T = TypeVar("T")


class TpeStrategy(Strategy):
    """Draws candidates that are similar to the good candidates and unlike the others.

    All answers are considered together (multivariate tree-structured Parzen estimators, as implemented in Optuna).

    Args:
        goal: objectives and limits.
        seed: seed of the study.
        n_startup_trials: number of random candidates before the first model.
        n_ei_candidates: number of draws, of which the most promising is proposed.
        history: number of newest candidates that the model is built from, besides the front; the time of a proposal
            grows with it.

    Raises:
        PlanError: a value is out of range.
    """

    def __init__(
        self,
        goal: Goal,
        seed: int,
        *,
        n_startup_trials: int = 10,
        n_ei_candidates: int = 24,
        history: int = 1000,
    ) -> None:
        super().__init__(goal, seed)
        check_whole("tpe", "n_startup_trials", n_startup_trials, least=0)
        check_whole("tpe", "n_ei_candidates", n_ei_candidates, least=1)
        check_whole("tpe", "history", history, least=10)
        self._parameters = {"n_startup_trials": n_startup_trials, "n_ei_candidates": n_ei_candidates}
        self._history = history
        self._adapter = SamplerAdapter(
            goal, seed, self._sampler, recent=history, pinned=self._front, private=("tpe:relative_params",)
        )

    def propose(self, build: Callable[[Chooser], T], number: int) -> tuple[Suggestion, T]:
        """See ``Strategy.propose``."""
        return self._adapter.propose(build, number)

    def exhausted(self, number: int) -> bool:
        """See ``Strategy.exhausted``; all networks of a small space were proposed."""
        return self._adapter.exhausted(number)

    def observe(self, observations: Sequence[Observation]) -> None:
        """See ``Strategy.observe``."""
        self._adapter.observe(observations)

    def _sampler(self, seed: int, space: Space) -> BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return TPESampler(seed=seed, multivariate=True, group=True, **self._parameters)

    def _front(self, attrs: Mapping[str, Any], observations: Mapping[int, Observation]) -> Iterable[int]:
        """Numbers of the newest candidates on the Pareto front, at most a third of ``history``."""
        names = list(self.goal.objectives)
        complete = [
            number
            for number, observation in sorted(observations.items())
            if observation.state == "complete"
            and all(np.isfinite(observation.values.get(name, np.nan)) for name in names)
        ]
        points = [[observations[number].values[name] for name in names] for number in complete]
        front = pareto_front(points, list(self.goal.objectives.values()))
        return [complete[index] for index in front[-(self._history // 3) :]]
