"""Predictions for the networks of a space, from the results of some of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from nas.strategies import FEATURES, Goal, Observation
from nas.strategies.pareto import pareto_front
from nas.strategies.pareto_bo.activity import Activity
from nas.strategies.pareto_bo.codes import INACTIVE, Coded, Coder, Levels, levels_of
from nas.strategies.pareto_bo.features import ScaledFeatures
from nas.strategies.pareto_bo.gain import expected_gain
from nas.strategies.pareto_bo.gaussian_process import Hyperparameters, Inputs, Posterior, fit
from nas.strategies.pareto_bo.other_targets import OtherTargets
from nas.strategies.pareto_bo.process import Networks, Process
from nas.strategies.pareto_bo.proxy_scores import ProxyScores
from nas.strategies.pareto_bo.ridge import regressed
from nas.strategies.pareto_bo.trend import Trend, fit_trend

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
#: Quantity → number of values at its last fit, and the hyper-parameters of that fit.
Fits = Mapping[str, tuple[int, Hyperparameters]]
#: Largest number of networks that hyper-parameters are fitted to; iterations of the first fit and of later ones.
_FITTED, _FIRST_STEPS, _STEPS = 120, 30, 10
#: A fit is repeated after this number of new values and this share of the values of the last fit, whichever is larger.
_REFIT, _REFIT_SHARE = 5, 1 / 8
#: Share of a cost's median that is added before its logarithm, so that networks of very low cost are not outliers.
_SHIFT = 1.0
#: For a cost without limit, the worst value that counts is the largest value seen times this factor.
_MARGIN = 1.1
#: Number of first networks, which are random, whose median is the worst value that counts.
FIRST = 10


class Expecting(Protocol):
    """The model of an earlier study, which predicts the objectives of networks; see ``EarlierModel``."""

    def unbuilt(self, levels: Levels) -> Floats:
        """Expectations ``(n, m)`` of networks by their levels ``(n, d)``."""

    def built(self, levels: Levels, features: Sequence[Mapping[str, float]]) -> Floats:
        """Expectations ``(n, m)`` of networks by their levels ``(n, d)`` and features."""

    def parents(self, coder: Coder, most: int) -> Levels:
        """Indices ``(p, d)`` of the answers on the front of the earlier study; ``most`` of them, if there are more."""


class Model:
    """Gaussian processes for all objectives and limits, over a window of a study's observations.

    Args:
        goal: objectives and limits.
        coded: codes of the space's suggestions.
        observations: the window, in the order of proposal; at least two must be complete.
        fits: earlier fits.
        earlier: models of earlier studies; processes start from their expectations as far as these are right.

    Attributes:
        fits: the given fits, with new ones for quantities that have enough new values.
        coder: coder of the space's questions.
        earlier: the given models of earlier studies.
    """

    def __init__(
        self,
        goal: Goal,
        coded: Coded,
        observations: Sequence[Observation],
        fits: Fits,
        earlier: Sequence[Expecting] = (),
    ) -> None:
        self._goal, self._observations, self.earlier = goal, observations, earlier
        self.fits = dict(fits)
        self.coder = coded.coder
        self._places, self._levels = coded.of([item.suggestion for item in observations])
        features = [item.suggestion.sampler_state.get(FEATURES, {}) for item in observations]
        codes, scores = self.coder.codes(self._levels), [item.proxies for item in observations]
        self._features, self._other_targets = ScaledFeatures(features), OtherTargets(features)
        self._proxies = ProxyScores(codes, scores)
        inputs = self._inputs(codes, features, scores)
        expected = [model.built(self._levels, features) for model in earlier]
        self._networks = Networks(inputs, self._stacked(expected, len(observations)))
        #: ``(n, m)`` objectives; values of running networks are filled in with their expectations.
        self._values = np.array(
            [[item.values.get(name, math.nan) for name in goal.objectives] for item in observations], dtype=np.float64
        )
        measured = np.isfinite(self._values).all(axis=1)
        self._is_complete = measured & np.array([item.state == "complete" for item in observations])
        self._is_running = np.array([item.state == "running" for item in observations])
        # Decided before expectations are filled in, which may be 0.
        self._costs = [self._looks_like_cost(place) for place in range(len(goal.objectives))]
        self._objectives = [self._objective(place) for place in range(len(goal.objectives))]
        others = [name for name in goal.limits if name not in goal.objectives]
        self._limits = {name: process for name in others if (process := self._limit(name)) is not None}

    # -- networks

    @cached_property
    def activity(self) -> Activity:
        """Predicts which answers have an effect."""
        return Activity(self._places, self._levels != INACTIVE, self.coder.sizes)

    def parents(self, most: int) -> Levels:
        """Indices ``(p, d)`` of the answers of front members; ``most`` of them, spread evenly, if there are more."""
        rows = self._front()
        order = rows[np.argsort(self._values[rows, -1], kind="stable")]
        chosen = np.unique(np.linspace(0, max(0, len(order) - 1), min(most, len(order))).round().astype(int))
        return np.asarray(self._places[order[chosen]])

    def unbuilt(self, levels: Levels) -> Networks:
        """Networks that were not built; see ``_predicted``."""
        expected = self._stacked([model.unbuilt(levels) for model in self.earlier], len(levels))
        return Networks(self._predicted(self.coder.codes(levels)), expected)

    def built(
        self,
        levels: Levels,
        features: Sequence[Mapping[str, float]],
        proxies: Sequence[Mapping[str, float]] = (),
    ) -> Networks:
        """Networks whose features are known, by their levels ``(n, d)``, and proxies if they were measured."""
        inputs = self._inputs(self.coder.codes(levels), features, proxies or [{}] * len(levels))
        return Networks(inputs, self._stacked([model.built(levels, features) for model in self.earlier], len(levels)))

    def _inputs(
        self, codes: Floats, features: Sequence[Mapping[str, float]], proxies: Sequence[Mapping[str, float]]
    ) -> Inputs:
        """Inputs of networks whose features are known; proportional are latencies on other targets, then proxies."""
        lines = self._other_targets.scaled(features), self._proxies.scaled(codes, proxies)
        return Inputs(codes, self._features.scaled(features), np.concatenate(lines, axis=1))

    def expectations(self, codes: Floats, features: Sequence[Mapping[str, float]]) -> Floats:
        """Means ``(n, m)`` of the objectives, or of the logarithms of costs, by codes ``(n, k)`` and features.

        Features of networks with empty features are predicted.
        """
        known, predicted = np.array([bool(item) for item in features])[:, None], self._predicted(codes)
        scaled = np.where(known, self._features.scaled(features), predicted.features)
        lines = self._inputs(codes, features, [{}] * len(codes)).proportional
        inputs = Inputs(codes, scaled, np.where(known, lines, predicted.proportional))
        return self.means(Networks(inputs, self._stacked([], len(codes))))

    def means(self, networks: Networks) -> Floats:
        """Means ``(n, m)`` of the objectives of n networks, or of the logarithms of costs."""
        return np.stack([process.predict(networks)[0] for process in self._objectives], axis=1)

    def _stacked(self, expected: Sequence[Floats], count: int) -> Floats:
        """Expectations of all earlier studies, ``(n, s, m)``."""
        found = np.array(expected, dtype=np.float64).reshape(len(expected), count, len(self._goal.objectives))
        return found.transpose(1, 0, 2)

    def _predicted(self, codes: Floats) -> Inputs:
        """Inputs by codes ``(n, k)``; a linear regression predicts the features."""
        known = self._networks.inputs
        table = np.concatenate([known.features, known.proportional], axis=1)
        found = regressed(known.codes, table, codes)
        return Inputs(codes, *np.split(found, [known.features.shape[1]], axis=1))

    # -- expected gains

    def worst(self, generator: np.random.Generator) -> Floats:
        """The worst value of each objective that counts in one proposal, ``(m,)``.

        For a cost, this is its limit, or slightly more than the largest value seen. For any other objective, it is the
        limit, or the median of the first networks; in half of the proposals it is drawn between that value and the best
        one, so that every part of the front is improved.
        """
        found = []
        for place, (name, direction) in enumerate(self._goal.objectives.items()):
            values = self._values[self._is_complete, place]
            if self._costs[place]:
                limit = self._bound(name)
                found.append(_MARGIN * float(values.max()) if limit is None else limit)
            else:
                floor, best = self._floor(place), float(values.max() if direction == "maximize" else values.min())
                drawn = float(generator.random())
                found.append(floor + (best - floor) * drawn if generator.random() < 0.5 else floor)
        return np.array(found)

    def gains(self, networks: Networks, worst: Floats, seed: int) -> Floats:
        """Expected gains of hypervolume of n networks, times the probability that they keep the limits, ``(n,)``."""
        return self._gains(networks, [], worst, seed)

    def measured_gains(self, measured: Sequence[Observation], worst: Floats, seed: int) -> Floats:
        """Expected gains ``(n,)`` of n networks with some measured objectives, which keep all measured limits."""
        levels = np.stack([levels_of(self.coder, item.suggestion) for item in measured])
        features = [item.suggestion.sampler_state.get(FEATURES, {}) for item in measured]
        networks = self.built(levels, features, [item.proxies for item in measured])
        return self._gains(networks, measured, worst, seed)

    def _gains(self, networks: Networks, measured: Sequence[Observation], worst: Floats, seed: int) -> Floats:
        beliefs = [
            process.beliefs(networks, name, direction, measured)
            for process, (name, direction) in zip(self._objectives, self._goal.objectives.items(), strict=True)
        ]
        gains = expected_gain(beliefs, self._values[self._front()], worst, seed)
        for name, process in self._limits.items():
            mean, spread = process.predict(networks)
            kept = np.array([name in item.violations for item in measured] or False)
            gains = gains * np.where(kept, 1.0, norm.cdf(-mean / spread))
        return gains

    def _front(self) -> Rows:
        """Rows of the networks on the front; running networks count with their expected values."""
        rows = np.flatnonzero((self._is_complete | self._is_running) & np.isfinite(self._values).all(axis=1))
        return rows[pareto_front(self._values[rows], list(self._goal.objectives.values()))]

    def predicted(self, networks: Networks) -> dict[str, Floats]:
        """Cost or limit → predicted values of n networks, and both ends of their 95 % intervals, ``(n, 3)``."""
        objectives = zip(self._goal.objectives, self._objectives, self._costs, strict=True)
        found = {name: process.intervals(networks) for name, process, is_cost in objectives if is_cost}
        for name, process in self._limits.items():
            bound = self._goal.limits[name].max
            if bound is not None and self._goal.limits[name].min is None:  # the violation tells the value
                found[name] = bound + (abs(bound) or 1.0) * process.intervals(networks)
        return found

    # -- processes

    def _looks_like_cost(self, place: int) -> bool:
        """Whether an objective is a positive quantity to be minimized, whose logarithm is learned."""
        direction = list(self._goal.objectives.values())[place]
        values = self._values[:, place]
        return direction == "minimize" and bool((values[np.isfinite(values)] > 0).all())

    def _bound(self, name: str) -> float | None:
        limit = self._goal.limits.get(name)
        if limit is None:
            return None
        return limit.min if self._goal.objectives[name] == "maximize" else limit.max

    def _floor(self, place: int) -> float:
        """The worst value of an objective that counts: its limit, or the median of the first networks."""
        bound = self._bound(list(self._goal.objectives)[place])
        if bound is not None:
            return bound
        first = np.flatnonzero(self._is_complete)[:FIRST]
        return float(np.median(self._values[first, place]))

    def _objective(self, place: int) -> Process:
        """The process for an objective; also fills in the expected values of running networks."""
        name, direction = list(self._goal.objectives.items())[place]
        is_cost, values = self._costs[place], self._values[:, place]
        spreads = np.array([item.spreads.get(name, 0.0) for item in self._observations])
        rows = np.flatnonzero(np.isfinite(values))
        y, noise = values[rows], spreads[rows]
        shift = _SHIFT * float(np.median(y)) if is_cost else None
        if shift is not None:
            y, noise = np.log(y + shift), noise / (y + shift)
        else:  # values far below the floor are cut off, because differences among them do not matter
            sign, floor = (1.0 if direction == "maximize" else -1.0), self._floor(place)
            best = sign * (sign * y).max()
            y = sign * np.maximum(sign * y, sign * (floor - (best - floor) / 2))
        running = np.flatnonzero(self._is_running & ~np.isfinite(values))
        trend = fit_trend(self._networks.expected[rows], place, y)
        process, expected = self._process(name, rows, y, noise, running, shift, trend)
        self._values[running, place] = expected if shift is None else np.maximum(np.exp(expected) - shift, 0.0)
        return process

    def _limit(self, name: str) -> Process | None:
        """The process for a limit's violation; None if it is not known for any network."""
        values = np.array([item.violations.get(name, math.nan) for item in self._observations])
        rows = np.flatnonzero(np.isfinite(values))
        if not len(rows):
            return None
        trend = Trend(0, np.zeros(len(self.earlier)))
        return self._process(f"limit {name}", rows, values[rows], np.zeros(len(rows)), rows[:0], None, trend)[0]

    def _process(
        self, name: str, rows: Rows, y: Floats, noise: Floats, running: Rows, shift: float | None, trend: Trend
    ) -> tuple[Process, Floats]:
        """A process for values ``y`` of some rows, and its expectations for running ones, which it takes as values."""
        y = y - trend.of(self._networks.expected[rows])
        mean, scale = float(y.mean()), float(y.std()) or 1.0
        y, noise = (y - mean) / scale, (noise / scale) ** 2
        hyperparameters = self._fitted(name, rows, y, noise)
        posterior = Posterior(self._networks.inputs.take(rows), self.coder.owner, y, noise, hyperparameters)
        expected = np.empty(0)
        if len(running):
            expected, _ = posterior.predict(self._networks.inputs.take(running))
            rows, y = np.concatenate([rows, running]), np.concatenate([y, expected])
            noise = np.concatenate([noise, np.zeros(len(running))])
            posterior = Posterior(self._networks.inputs.take(rows), self.coder.owner, y, noise, hyperparameters)
        expected = mean + scale * expected + trend.of(self._networks.expected[running])
        return Process(posterior, mean, scale, shift, trend), expected

    def _telling(self, name: str) -> Floats:
        """1 for each proportional input that may tell a quantity, otherwise 0, ``(p,)``.

        Latencies on other targets tell about costs and limits, and proxies about scores.
        """
        objectives = list(self._goal.objectives)
        is_score = name in objectives and not self._costs[objectives.index(name)]
        counts = self._other_targets.values.shape[1], self._proxies.values.shape[1]
        return np.repeat([not is_score, is_score], counts).astype(np.float64)

    def _fitted(self, name: str, rows: Rows, y: Floats, noise: Floats) -> Hyperparameters:
        inputs = self._networks.inputs
        num_features, num_proportional = inputs.features.shape[1], inputs.proportional.shape[1]
        count, known = self.fits.get(name, (0, None))
        prior = Hyperparameters.prior(len(self.coder.questions), num_features, num_proportional)
        if known is not None and len(known.values) != len(prior.values):
            known = None  # the set of features has changed
        if known is not None and len(rows) < count + max(_REFIT, count * _REFIT_SHARE):
            return known
        chosen = np.unique(np.linspace(0, len(rows) - 1, min(_FITTED, len(rows))).round().astype(int))
        steps = _FIRST_STEPS if known is None else _STEPS
        inputs = inputs.take(rows[chosen])
        inputs = replace(inputs, proportional=inputs.proportional * self._telling(name))
        found = fit(inputs, self.coder.owner, y[chosen], noise[chosen], known or prior, steps)
        self.fits[name] = (len(rows), found)
        return found
