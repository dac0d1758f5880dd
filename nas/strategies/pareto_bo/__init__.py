"""Bayesian optimization of the Pareto front, the default strategy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, TypeVar

import numpy as np

from nas.space.chooser import Chooser, RandomChooser
from nas.strategies import FEATURES, PREDICTED, EarlierStudy, Goal, Observation, Strategy, Suggestion
from nas.strategies.parameters import check_proxies, check_whole
from nas.strategies.pareto import pareto_front
from nas.strategies.pareto_bo.codes import INACTIVE, Coded, Coder, Floats, Levels, levels_of
from nas.strategies.pareto_bo.gaussian_process import Hyperparameters
from nas.strategies.pareto_bo.latency_limits import LatencyLimits
from nas.strategies.pareto_bo.model import Fits, Model, Rows
from nas.strategies.pareto_bo.moves import RANDOM, all_networks, moves
from nas.strategies.pareto_bo.priors import Priors
from nas.strategies.pareto_bo.shortlist import BuiltNetworks, Listed, built_suggestion, features_of
from nas.strategies.pareto_bo.warm_start import WarmStart
from nas.strategies.seeds import suggestion_seed

T = TypeVar("T")
#: Key of a suggestion's state for the hyper-parameters that were fitted for it.
FITS = "fits"
#: Largest number of front members whose neighbours are searched.
_PARENTS = 20
#: Largest number of draws to find a random network that was not proposed yet.
_TRIES = 20
#: Largest number of networks that are built for one proposal, per place of the shortlist: some turn out to be known.
_BUILDS = 3
#: Largest number of networks without training that the processes learn from, the newest ones.
_UNTRAINED = 150
#: Largest number of measured candidates, the newest ones, that are compared before a training.
_COMPARED = 1000


class ParetoBoStrategy(Strategy):
    """Proposes the candidate with the largest expected gain of hypervolume.

    One Gaussian process per objective learns from the answers and from features of a network that are known before it
    is trained: its operators, parameters, MACs and bits, and its latencies on other targets if earlier studies of the
    same space measured some. The intervals of measured values are used as known noise.
    Running candidates count with their expected results. With halving, candidates at all rungs count with the score
    that is expected at the end, and with its standard deviation as noise.

    For each proposal, the strategy compares neighbours, mutants and crossings of front members, and random networks. It
    builds the most promising ones and compares them again with their features; the best is proposed. Among measured
    candidates, it chooses the one with the largest expected gain for training, given the measured values.

    With ``warm_start`` in the plan, processes learn the deviation from what earlier studies predict, once these predict
    the results of every objective clearly better than chance. With ``priors``, first candidates follow them, and
    expected gains are multiplied by the prior to the power of 10 / n after n results, as in πBO (Hvarfner et al. 2022).

    Args:
        goal: objectives and limits.
        seed: seed of the study.
        n_startup_trials: number of random candidates before the first model.
        shortlist: number of networks that are built and traced for one proposal; more find better ones and take longer.
        history: number of newest candidates that the processes learn from, besides the front.
        proxies: zero-cost proxies that score every measured candidate before its training, such as ``[naswot]``. The
            processes of scores learn from them as far as they correlate.

    Raises:
        PlanError: a value is out of range.
        UnknownNameError: a proxy does not exist.
    """

    chooses: ClassVar[bool] = True
    starts_warm: ClassVar[bool] = True
    has_priors: ClassVar[bool] = True

    def __init__(
        self,
        goal: Goal,
        seed: int,
        *,
        n_startup_trials: int = 10,
        shortlist: int = 12,
        history: int = 400,
        proxies: Sequence[str] = (),
    ) -> None:
        super().__init__(goal, seed)
        check_whole("pareto_bo", "n_startup_trials", n_startup_trials, least=2)
        check_whole("pareto_bo", "shortlist", shortlist, least=1)
        check_whole("pareto_bo", "history", history, least=10)
        self.proxies = check_proxies("pareto_bo", proxies)
        self._num_random, self._shortlist, self._history = n_startup_trials, shortlist, history
        self._observations: dict[int, Observation] = {}
        self._keys: dict[int, tuple[str, ...]] = {}
        self._fits: dict[str, tuple[int, Hyperparameters]] = {}
        self._coded: Coded | None = None
        self._built = BuiltNetworks()
        self._is_exhausted = False
        self._warm_start = WarmStart(goal, ())
        self._priors = Priors({})

    def start_from(self, studies: Sequence[EarlierStudy]) -> None:
        """See ``Strategy.start_from``."""
        self._warm_start = WarmStart(self.goal, studies)

    def use_priors(self, priors: Mapping[str, Sequence[float]]) -> None:
        """See ``Strategy.use_priors``."""
        self._priors = Priors(priors)

    def exhausted(self, number: int) -> bool:
        """Whether all networks of a small space were proposed."""
        return self._is_exhausted

    def observe(self, observations: Sequence[Observation]) -> None:
        """See ``Strategy.observe``."""
        for item in observations:
            if item.suggestion.number not in self._observations:
                self._keys[item.suggestion.number] = _key_of(item.suggestion)
                for name, (count, values) in item.suggestion.sampler_state.get(FITS, {}).items():
                    self._fits[name] = (count, Hyperparameters(tuple(values)))
            self._observations[item.suggestion.number] = item

    def propose(self, build: Callable[[Chooser], T], number: int) -> tuple[Suggestion, T]:
        """See ``Strategy.propose``."""
        generator = np.random.default_rng(suggestion_seed(self.seed, number))
        known = [self._observations[key] for key in sorted(self._observations)]
        seen = set(self._keys.values())
        if number >= self._num_random and sum(self._is_measured(item) for item in known) >= 2:
            model = self._model(known)
            if found := self._most_promising(model, build, number, generator, seen):
                return found
        return _random(build, number, generator, seen, LatencyLimits(self.goal, known), self._priors)

    def adopt(self, suggestion: Suggestion, built: object) -> Suggestion:
        """See ``Strategy.adopt``."""
        return _with_state(suggestion, built, {}, {})

    def choose(self, measured: Sequence[int], number: int) -> int:
        """See ``Strategy.choose``; the first one until enough are trained for a model."""
        known = [self._observations[key] for key in sorted(self._observations)]
        num_trained = sum(item.state in ("running", "paused", "complete", "stopped", "failed") for item in known)
        if num_trained < self._num_random or sum(self._is_measured(item) for item in known) < 2:
            return min(measured)
        model = self._model(known)
        compared = [self._observations[key] for key in sorted(measured)[-_COMPARED:]]
        generator = np.random.default_rng(suggestion_seed(self.seed, number))
        gains = model.measured_gains(compared, model.worst(generator), number)
        levels = np.stack([levels_of(model.coder, item.suggestion) for item in compared])
        gains = gains * self._priors.factors(model.coder, levels, self._num_results())
        return compared[int(np.argmax(gains))].suggestion.number

    def _most_promising(
        self,
        model: Model,
        build: Callable[[Chooser], T],
        number: int,
        generator: np.random.Generator,
        seen: set[tuple[str, ...]],
    ) -> tuple[Suggestion, T] | None:
        """The best new network of a shortlist; None if no new network was found."""
        worst = model.worst(generator)
        everything = all_networks(model.coder.sizes)
        places = self._moves(model, generator) if everything is None else everything
        levels = np.where(model.activity.predict(places), places, INACTIVE)
        new = _new(model.coder, levels, seen)
        listed: list[Listed[T]] = []
        num_compared = 0
        for row in new[self._order(model, levels[new], worst, number)]:
            if len(listed) == self._shortlist or num_compared == _BUILDS * self._shortlist:
                break
            network = self._built.listed(model.coder, places[row], build, number)
            num_compared += 1
            if (key := model.coder.key(network.levels)) not in seen:  # it is known if another answer is without effect
                seen.add(key)
                listed.append(network)
        if not listed:
            self._is_exhausted = everything is not None and num_compared < _BUILDS * self._shortlist
            return None
        levels = np.stack([network.levels for network in listed])
        networks = model.built(levels, [network.features for network in listed])
        gains = model.gains(networks, worst, number)
        place = int(np.argmax(gains * self._priors.factors(model.coder, levels, self._num_results())))
        chosen = listed[place]
        suggestion, built = chosen.built or built_suggestion(model.coder, chosen.places, build, number)
        predicted = {
            name: found[0].tolist() for name, found in model.predicted(networks.take(np.array([place]))).items()
        }
        fits = {name: found for name, found in model.fits.items() if self._fits.get(name) != found}
        self._fits |= fits
        return _with_state(suggestion, built, fits, predicted), built

    def _order(self, model: Model, levels: Levels, worst: Floats, number: int) -> Rows:
        """Rows of networks by their levels ``(n, d)``, the most promising first."""
        if not len(levels):
            return np.empty(0, dtype=np.intp)
        gains = model.gains(model.unbuilt(levels), worst, number)
        gains = gains * self._priors.factors(model.coder, levels, self._num_results())
        return np.argsort(-gains, kind="stable")

    def _model(self, known: Sequence[Observation]) -> Model:
        self._coded = self._coded or Coded(known[0].suggestion.questions)
        window = self._window(known)
        return Model(self.goal, self._coded, window, self._fits, self._warm_start.trusted(window))

    def _moves(self, model: Model, generator: np.random.Generator) -> Levels:
        """Indices ``(n, d)`` of the answers of networks near the front, and near those of earlier studies."""
        added = [earlier.parents(model.coder, _PARENTS) for earlier in model.earlier]
        found = moves(np.concatenate([model.parents(_PARENTS), *added]), model.coder.sizes, generator)
        if self._priors.chances:
            added.append(self._priors.drawn(RANDOM, model.coder, generator))
        return np.unique(np.concatenate([found, *added]), axis=0) if added else found

    def _num_results(self) -> int:
        return sum(map(self._is_measured, self._observations.values()))

    def _window(self, known: Sequence[Observation]) -> list[Observation]:
        """Observations that the processes learn from: the newest networks, and the front of the older ones.

        Networks that were not trained tell only about latencies and the like, and a smaller number of them suffices.
        """
        trained = [item for item in known if item.state in ("complete", "running", "paused") or self._is_left(item)]
        untrained = [item for item in known if item.state in ("infeasible", "measured_only")]
        older, newest = trained[: -self._history], trained[-self._history :]
        complete = [item for item in older if self._is_measured(item)]
        points = [[item.values[name] for name in self.goal.objectives] for item in complete]
        front = pareto_front(points, list(self.goal.objectives.values()))
        return [*(complete[place] for place in front), *newest, *untrained[-min(_UNTRAINED, self._history) :]]

    def _is_measured(self, observation: Observation) -> bool:
        """Whether a network is complete and has a finite value of every objective."""
        return observation.state == "complete" and self._has_values(observation)

    def _has_values(self, observation: Observation) -> bool:
        """Whether every objective of a network has a finite value."""
        return all(math.isfinite(observation.values.get(name, math.nan)) for name in self.goal.objectives)

    def _is_left(self, observation: Observation) -> bool:
        """Whether a network was stopped at a rung, and has expected values."""
        return observation.state == "stopped" and self._has_values(observation)


def _new(coder: Coder, levels: Levels, seen: set[tuple[str, ...]]) -> Rows:
    """Rows of the networks by their levels ``(n, d)`` that are not known, each network once."""
    rows: dict[tuple[str, ...], int] = {}
    for row, key in enumerate(map(coder.key, levels)):
        if key not in seen:
            rows.setdefault(key, row)
    return np.fromiter(rows.values(), dtype=np.intp, count=len(rows))


def _random(
    build: Callable[[Chooser], T],
    number: int,
    generator: np.random.Generator,
    seen: set[tuple[str, ...]],
    limits: LatencyLimits,
    priors: Priors,
) -> tuple[Suggestion, T]:
    """A random network that was not proposed yet and does not clearly exceed a limit, if ``_TRIES`` draws find one.

    Otherwise, it is the new network that is predicted to exceed the limits least, or any network.
    """
    drawn: list[tuple[float, Suggestion, T]] = []
    for _ in range(_TRIES):
        chooser = RandomChooser(int(generator.integers(2**32)), priors.chances)
        built = build(chooser)
        suggestion = Suggestion.from_chooser(number, chooser)
        predicted = limits.predicted(suggestion, features_of(built))
        excess = math.inf if _key_of(suggestion) in seen else limits.excess(predicted)
        drawn.append((excess, _with_state(suggestion, built, {}, predicted), built))
        if excess <= 1.0:
            break
    _, suggestion, built = min(drawn, key=lambda item: item[0])
    return suggestion, built


def _with_state(
    suggestion: Suggestion, built: object, fits: Fits, predicted: Mapping[str, Sequence[float]]
) -> Suggestion:
    """The suggestion with its state: what a rebuilt strategy needs, and the predicted costs.

    A rebuilt strategy needs the features of the network, and the fits that were made for the suggestion.
    """
    state = {
        FEATURES: dict(features_of(built)),
        FITS: {name: [count, list(found.values)] for name, (count, found) in fits.items()},
        PREDICTED: predicted,
    }
    return replace(suggestion, sampler_state={key: value for key, value in state.items() if value})


def _key_of(suggestion: Suggestion) -> tuple[str, ...]:
    """The answers that have an effect, which are equal for two suggestions of one network; see ``Coder.key``."""
    return tuple(f"{item.name}={suggestion.answers[item.name]!r}" for item in suggestion.questions if item.active)
