"""ParEGO (Knowles 2006): Bayesian optimization of a weighted objective whose weights change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from nas.strategies import Goal, Observation, Suggestion
from nas.strategies.history import DistinctStrategy
from nas.strategies.parameters import check_whole
from nas.strategies.pareto_bo.activity import Activity
from nas.strategies.pareto_bo.codes import INACTIVE
from nas.strategies.pareto_bo.gain import Beliefs
from nas.strategies.pareto_bo.gaussian_process import Hyperparameters, Inputs, Posterior, fit
from nas.strategies.pareto_bo.moves import all_networks, moves
from nas.strategies.ranking import losses_of, violation
from nas.strategies.seeds import suggestion_seed

if TYPE_CHECKING:
    from nas.space import Chooser, Value
    from nas.strategies.pareto_bo.codes import Levels

T = TypeVar("T")
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
#: Weight of the sum of the objectives beside their maximum.
_RHO = 0.05
#: Largest number of networks that the process learns from: half of them are the best, the others are random.
_LEARNED = 80
#: Iterations of a fit of the hyper-parameters.
_STEPS = 30
#: Number of networks that the search for the next proposal starts from.
_PARENTS = 20


class ParegoStrategy(DistinctStrategy):
    """Proposes the candidate with the largest expected improvement of a weighted objective (Knowles 2006).

    For each proposal, random weights combine all objectives into one (augmented Tchebycheff function). A Gaussian
    process of the answers learns it from at most 80 candidates, as in the paper.

    Differences from the paper: weights are drawn from the whole simplex instead of a grid. Objectives are scaled so
    that the best result is 0 and the median of the first results is 1. There are 10 random candidates at the start
    instead of 11 per choice. The process and the search for the best candidate are those of `pareto_bo`. The paper has
    no limits; here, the expected improvement is multiplied by the probability that a candidate keeps them. No network
    is proposed twice.

    Args:
        goal: objectives and limits.
        seed: seed of the study.
        n_startup_trials: number of random candidates before the first model.

    Raises:
        PlanError: a value is out of range.
    """

    def __init__(self, goal: Goal, seed: int, *, n_startup_trials: int = 10) -> None:
        super().__init__(goal, seed)
        check_whole("parego", "n_startup_trials", n_startup_trials, least=2)
        self._num_random = n_startup_trials

    def propose(self, build: Callable[[Chooser], T], number: int) -> tuple[Suggestion, T]:
        """See ``Strategy.propose``."""
        generator = np.random.default_rng(suggestion_seed(self.seed, number))
        results = self._history.results()
        is_early = number < self._num_random or sum(item.state == "complete" for item in results) < 2
        answers = None if is_early else self._most_promising(results, generator)
        return self._history.propose(build, number, answers, generator)

    def _most_promising(
        self, results: Sequence[Observation], generator: np.random.Generator
    ) -> Mapping[str, Value] | None:
        """The new network with the largest expected improvement; None if no new one was found."""
        known, coder = self._history.known, self._history.known.coder
        places = np.stack([coder.places(item.suggestion.answers) for item in results])
        active = np.array([[question.active for question in item.suggestion.questions] for item in results])
        complete = np.flatnonzero([item.state == "complete" for item in results])
        scores = self._scores(losses_of([results[int(row)] for row in complete], self.goal), generator)
        order = _learned(scores, generator)

        candidates = all_networks(coder.sizes)
        if candidates is None:
            candidates = moves(places[complete[np.argsort(scores)[:_PARENTS]]], coder.sizes, generator)
        candidates = candidates[known.are_new(candidates)]
        if not len(candidates):
            return None
        effective = Activity(places, active, coder.sizes).predict(candidates)
        new = coder.codes(np.where(effective, candidates, INACTIVE))
        given = coder.codes(np.where(active, places, INACTIVE))
        score = Beliefs(*_prediction(given[complete[order]], scores[order], new, coder.owner), "minimize")
        gains = score.beyond(scores.min(keepdims=True))[0]
        if len(complete) < len(results):
            violations = np.array([_signed_violation(item) for item in results])
            mean, spread = _prediction(given[-_LEARNED:], violations[-_LEARNED:], new, coder.owner)
            gains = gains * norm.cdf(-mean / spread)
        return coder.answers(candidates[int(np.argmax(gains))])

    def _scores(self, losses: Floats, generator: np.random.Generator) -> Floats:
        """Augmented Tchebycheff values with random weights, ``(n,)``, of objectives ``(n, m)``; smaller is better."""
        best = losses.min(axis=0)
        span = np.median(losses[: self._num_random], axis=0) - best
        scaled = (losses - best) / np.where(span > 0, span, 1.0)
        weighted = generator.dirichlet(np.ones(losses.shape[1])) * scaled
        return np.asarray(weighted.max(axis=1) + _RHO * weighted.sum(axis=1))


def _learned(scores: Floats, generator: np.random.Generator) -> Rows:
    """Rows of the networks that the process learns from: all, or the best ones and a random choice of the others."""
    order = np.argsort(scores, kind="stable")
    best, others = order[: _LEARNED // 2], order[_LEARNED // 2 :]
    return np.concatenate([best, generator.permutation(others)[: _LEARNED // 2]])


def _signed_violation(observation: Observation) -> float:
    """The violation of the limits, at most 1, or minus the distance to the nearest limit of a feasible network."""
    if observation.state == "infeasible":
        return min(1.0, violation(observation))
    return min(0.0, max(observation.violations.values(), default=-1.0))


def _prediction(known: Floats, values: Floats, new: Floats, owner: Levels) -> tuple[Floats, Floats]:
    """Means and standard deviations ``(m,)`` of m new networks, from the values ``(n,)`` of known ones.

    Args:
        known: codes ``(n, k)``.
        values: values of the known networks ``(n,)``.
        new: codes ``(m, k)``.
        owner: index of the question that each column of the codes belongs to, ``(k,)``.
    """
    center, scale = float(values.mean()), float(values.std()) or 1.0
    y, noise = (values - center) / scale, np.zeros(len(values))
    inputs, others = (Inputs(codes, *2 * [np.empty((len(codes), 0))]) for codes in (known, new))
    start = Hyperparameters.prior(int(owner.max(initial=-1)) + 1, 0)
    hyperparameters = fit(inputs, owner, y, noise, start, _STEPS)
    mean, spread = Posterior(inputs, owner, y, noise, hyperparameters).predict(others)
    return center + scale * mean, scale * spread
