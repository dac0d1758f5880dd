"""What is believed of the networks of a space, given what was measured of some of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from nas.strategies import Goal, Observation, Suggestion
from nas.strategies.pareto import pareto_front
from nas.strategies.pareto_bo.activity import Activity
from nas.strategies.pareto_bo.codes import INACTIVE, Coder, Levels
from nas.strategies.pareto_bo.gain import Beliefs, expected_gain
from nas.strategies.pareto_bo.gaussian_process import Hyperparameters, Inputs, Posterior, fit

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
#: Under this key a suggestion keeps what was known of its network without training it.
FEATURES = "features"
#: Quantity → number of values at its last fit, and the hyper-parameters found then.
Fits = Mapping[str, tuple[int, Hyperparameters]]
#: Networks that hyper-parameters are fitted to, at most; iterations of the first fit and of later ones.
_FITTED, _FIRST_STEPS, _STEPS = 120, 30, 10
#: A fit is repeated after this many new values, or after this share of those it was made with.
_REFIT, _REFIT_SHARE = 5, 1 / 8
#: Logarithms of a cost are taken after adding this share of its median: a network of hardly any cost is no outlier.
_SHIFT = 1.0
#: The largest value seen of a cost without limit, times this, is the worst that counts.
_MARGIN = 1.1
#: Weight of the penalty by which features of networks that were not built are predicted from their codes.
_RIDGE = 1.0


@dataclass(frozen=True)
class Process:
    """A Gaussian process of one quantity, or of ``log(quantity + shift)``."""

    posterior: Posterior
    mean: float
    scale: float
    shift: float | None

    def predict(self, inputs: Inputs) -> tuple[Floats, Floats]:
        """Means and standard deviations ``(n,)`` each, of the logarithm where ``shift`` is given."""
        mean, spread = self.posterior.predict(inputs)
        return self.mean + self.scale * mean, self.scale * spread


class Model:
    """Processes of all objectives and limits over a window of a study's observations.

    Args:
        goal: objectives and limits.
        observations: the window, in the order of proposal; at least two are complete.
        fits: what was fitted before.

    Attributes:
        fits: those given, or new ones where enough values came since.
        coder: of the space's questions.
    """

    def __init__(self, goal: Goal, observations: Sequence[Observation], fits: Fits) -> None:
        self._goal, self._observations = goal, observations
        self.fits = dict(fits)
        self.coder = Coder(observations[0].suggestion.questions)
        self._places = np.stack([self.coder.places(item.suggestion.answers) for item in observations])
        self._levels = np.stack([self._levels_of(item.suggestion) for item in observations])
        self._features = _Scaled([item.suggestion.sampler_state.get(FEATURES, {}) for item in observations])
        self._inputs = Inputs(self.coder.codes(self._levels), self._features.values)
        #: ``(n, m)`` objectives; what a network under way will have is filled in as expected.
        self._values = np.array(
            [[item.values.get(name, math.nan) for name in goal.objectives] for item in observations], dtype=np.float64
        )
        measured = np.isfinite(self._values).all(axis=1)
        self._is_complete = measured & np.array([item.state == "complete" for item in observations])
        self._is_running = np.array([item.state == "running" for item in observations])
        self._objectives = [self._objective(place) for place in range(len(goal.objectives))]
        others = [name for name in goal.limits if name not in goal.objectives]
        self._limits = [process for name in others if (process := self._limit(name)) is not None]

    # -- networks

    @cached_property
    def activity(self) -> Activity:
        """Which answers have an effect."""
        return Activity(self._places, self._levels != INACTIVE, self.coder.sizes)

    def parents(self, most: int) -> Levels:
        """``(p, d)`` places of the answers of the front's members, evenly along it if there are more than ``most``."""
        rows = self._front()
        order = rows[np.argsort(self._values[rows, -1], kind="stable")]
        chosen = np.unique(np.linspace(0, max(0, len(order) - 1), min(most, len(order))).round().astype(int))
        return np.asarray(self._places[order[chosen]])

    def unbuilt(self, levels: Levels) -> Inputs:
        """Networks that were not built: their features are predicted linearly from the codes of those that were."""
        codes, known = self.coder.codes(levels), self._inputs
        center = known.codes.mean(axis=0)
        centred = known.codes - center
        gram = centred.T @ centred + _RIDGE * np.eye(centred.shape[1])
        return Inputs(codes, (codes - center) @ np.linalg.solve(gram, centred.T @ known.features))

    def built(self, suggestions: Sequence[Suggestion], features: Sequence[Mapping[str, float]]) -> Inputs:
        """Networks whose features are known."""
        levels = np.stack([self._levels_of(item) for item in suggestions])
        return Inputs(self.coder.codes(levels), self._features.scaled(features))

    def _levels_of(self, suggestion: Suggestion) -> Levels:
        return self.coder.levels(suggestion.answers, {item.name: item.active for item in suggestion.questions})

    # -- what they promise

    def worst(self, generator: np.random.Generator) -> Floats:
        """``(m,)`` values beyond which nothing counts, for one proposal.

        For a cost that is its limit, or somewhat more than the largest value seen. For any other objective it is its
        limit, or the median of the first networks; in half of the proposals it is drawn between that and the best
        value, so that every part of the front is improved.
        """
        found = []
        for place, (name, direction) in enumerate(self._goal.objectives.items()):
            values = self._values[self._is_complete, place]
            if self._is_cost(place):
                limit = self._bound(name)
                found.append(_MARGIN * float(values.max()) if limit is None else limit)
            else:
                floor, best = self._floor(place), float(values.max() if direction == "maximize" else values.min())
                drawn = float(generator.random())
                found.append(floor + (best - floor) * drawn if generator.random() < 0.5 else floor)
        return np.array(found)

    def gains(self, inputs: Inputs, worst: Floats, seed: int) -> Floats:
        """``(n,)`` expected gains of hypervolume of n networks, times the probability that they keep the limits."""
        beliefs = [
            Beliefs(*process.predict(inputs), direction, process.shift)
            for process, direction in zip(self._objectives, self._goal.objectives.values(), strict=True)
        ]
        gains = expected_gain(beliefs, self._values[self._front()], worst, seed)
        for process in self._limits:
            mean, spread = process.predict(inputs)
            gains = gains * norm.cdf(-mean / spread)
        return gains

    def _front(self) -> Rows:
        """Rows of the best networks, those under way with what is expected of them."""
        rows = np.flatnonzero((self._is_complete | self._is_running) & np.isfinite(self._values).all(axis=1))
        return rows[pareto_front(self._values[rows], list(self._goal.objectives.values()))]

    # -- processes

    def _is_cost(self, place: int) -> bool:
        """Whether an objective is a quantity above 0 to be minimised: its logarithm is learned."""
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
        return float(np.median(self._values[self._is_complete, place][:10])) if bound is None else bound

    def _objective(self, place: int) -> Process:
        """The process of an objective; fills in what is expected of networks under way."""
        name, direction = list(self._goal.objectives.items())[place]
        is_cost, values = self._is_cost(place), self._values[:, place]
        spreads = np.array([item.spreads.get(name, 0.0) for item in self._observations])
        rows = np.flatnonzero(np.isfinite(values))
        y, noise = values[rows], spreads[rows]
        shift = _SHIFT * float(np.median(y)) if is_cost else None
        if shift is not None:
            y, noise = np.log(y + shift), noise / (y + shift)
        else:  # how bad the bad ones are does not matter
            sign, floor = (1.0 if direction == "maximize" else -1.0), self._floor(place)
            best = sign * (sign * y).max()
            y = sign * np.maximum(sign * y, sign * (floor - (best - floor) / 2))
        running = np.flatnonzero(self._is_running & ~np.isfinite(values))
        process, expected = self._process(name, rows, y, noise, running, shift)
        self._values[running, place] = expected if shift is None else np.maximum(np.exp(expected) - shift, 0.0)
        return process

    def _limit(self, name: str) -> Process | None:
        """The process of a limit's violation; None where it is known of no network."""
        values = np.array([item.violations.get(name, math.nan) for item in self._observations])
        rows = np.flatnonzero(np.isfinite(values))
        if not len(rows):
            return None
        return self._process(f"limit {name}", rows, values[rows], np.zeros(len(rows)), rows[:0], None)[0]

    def _process(
        self, name: str, rows: Rows, y: Floats, noise: Floats, running: Rows, shift: float | None
    ) -> tuple[Process, Floats]:
        """A process of values ``y`` of some rows, and what it expects of the running ones, which it then believes."""
        mean, scale = float(y.mean()), float(y.std()) or 1.0
        y, noise = (y - mean) / scale, (noise / scale) ** 2
        hyperparameters = self._fitted(name, rows, y, noise)
        posterior = Posterior(self._inputs.take(rows), self.coder.owner, y, noise, hyperparameters)
        expected = np.empty(0)
        if len(running):
            expected, _ = posterior.predict(self._inputs.take(running))
            rows, y = np.concatenate([rows, running]), np.concatenate([y, expected])
            noise = np.concatenate([noise, np.zeros(len(running))])
            posterior = Posterior(self._inputs.take(rows), self.coder.owner, y, noise, hyperparameters)
        return Process(posterior, mean, scale, shift), mean + scale * expected

    def _fitted(self, name: str, rows: Rows, y: Floats, noise: Floats) -> Hyperparameters:
        num_features = self._inputs.features.shape[1]
        count, known = self.fits.get(name, (0, None))
        prior = Hyperparameters.prior(len(self.coder.questions), num_features)
        if known is not None and len(known.values) != len(prior.values):
            known = None  # other features have come
        if known is not None and len(rows) < count + max(_REFIT, count * _REFIT_SHARE):
            return known
        chosen = np.unique(np.linspace(0, len(rows) - 1, min(_FITTED, len(rows))).round().astype(int))
        steps = _FIRST_STEPS if known is None else _STEPS
        inputs = self._inputs.take(rows[chosen])
        found = fit(inputs, self.coder.owner, y[chosen], noise[chosen], known or prior, steps)
        self.fits[name] = (len(rows), found)
        return found


class _Scaled:
    """Features as a table whose columns have mean 0 and standard deviation 1; constant ones are left out.

    A network whose features are not known is average.
    """

    def __init__(self, features: Sequence[Mapping[str, float]]) -> None:
        known = [item for item in features if item]
        self._names = sorted({name for item in known for name in item})
        table = self._table(known)
        spread = table.std(axis=0) if known else np.empty(0)
        self._kept = spread > 1e-9
        self._center, self._spread = (table.mean(axis=0) if known else spread)[self._kept], spread[self._kept]
        self.values = self.scaled(features)

    def scaled(self, features: Sequence[Mapping[str, float]]) -> Floats:
        """``(n, f)``."""
        known = np.array([bool(item) for item in features])[:, None]
        return np.where(known, (self._table(features)[:, self._kept] - self._center) / self._spread, 0.0)

    def _table(self, features: Sequence[Mapping[str, float]]) -> Floats:
        return np.array([[item.get(name, 0.0) for name in self._names] for item in features]).reshape(
            len(features), len(self._names)
        )
