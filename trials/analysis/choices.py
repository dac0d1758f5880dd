"""Effects of the choices of a space on the objectives, over the complete trials of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from nas.strategies.pareto import Floats
from trials.store.read.choices import NO_EFFECT, Choices
from trials.store.read.points import Points

#: With fewer complete trials, the best tenth is only one trial, and every answer looks important.
MIN_COMPLETE = 20


@dataclass(frozen=True)
class ChoiceResults:
    """Choices and objectives of the n complete trials of a study."""

    #: ``(n,)``
    numbers: NDArray[np.int64]
    names: tuple[str, ...]
    #: For each choice its answers, in their order.
    options: tuple[tuple[Any, ...], ...]
    #: ``(n, d)``: place of the answer among the options, or ``NO_EFFECT``.
    codes: NDArray[np.int32]
    metrics: tuple[str, ...]
    directions: tuple[str, ...]
    #: ``(n, m)`` objectives, all finite.
    values: Floats
    #: ``(n,)``: probability to be on the Pareto front.
    shares: Floats

    def sample(self, most: int, seed: int = 0) -> ChoiceResults:
        """Return at most ``most`` of the trials, drawn at random, in the order of their numbers."""
        count = len(self.numbers)
        if count <= most:
            return self
        rows = np.sort(np.random.default_rng(seed).choice(count, most, replace=False))
        return replace(self, **{name: getattr(self, name)[rows] for name in ("numbers", "codes", "values", "shares")})

    def column(self, choice: str) -> NDArray[np.int32]:
        """Codes of one choice ``(n,)``."""
        return self.codes[:, self.names.index(choice)]

    def answers(self, choice: str) -> Mapping[int, str]:
        """Code → text of each answer that a trial has; "no effect" comes last."""
        own = self.options[self.names.index(choice)]
        found = {code: str(option) for code, option in enumerate(own)}
        if (self.column(choice) == NO_EFFECT).any():
            found[NO_EFFECT] = "no effect"
        return found


def choice_results(choices: Choices, found: Points, shares: Mapping[int, float]) -> ChoiceResults:
    """Return choices and objectives of the complete trials, from the choices and the points on the objectives."""
    able = (found.states == "complete") & np.isfinite(found.values).all(axis=1)
    able &= np.isin(found.numbers, choices.numbers)
    rows = np.searchsorted(choices.numbers, found.numbers[able])
    numbers = choices.numbers[rows]
    return ChoiceResults(
        numbers=numbers,
        names=choices.names,
        options=choices.options,
        codes=choices.codes[rows],
        metrics=found.metrics,
        directions=found.directions,
        values=found.values[able],
        shares=np.array([shares.get(number, 0.0) for number in numbers.tolist()], dtype=np.float64),
    )


@dataclass(frozen=True)
class Effect:
    """The trials that gave one answer to a choice."""

    answer: str
    count: int
    #: ``(m, 3)``: mean of each objective and the ends of its 95 % interval, which are ``nan`` for a single trial.
    means: Floats
    #: Share of this answer among all trials, and on the Pareto front, where each trial counts with its probability.
    share: float
    front_share: float


def effects(results: ChoiceResults, choice: str) -> list[Effect]:
    """Return the effect of each answer to a choice, in the order of the answers."""
    codes, total = results.column(choice), results.shares.sum()
    found = []
    for code, answer in results.answers(choice).items():
        rows = codes == code
        if rows.any():
            front_share = float(results.shares[rows].sum() / total) if total else 0.0
            means = np.stack([_mean(column) for column in results.values[rows].T])
            found.append(Effect(answer, int(rows.sum()), means, float(rows.mean()), front_share))
    return found


def _mean(values: Floats) -> Floats:
    """Return the mean of n values and Student's 95 % interval ``(3,)``."""
    mean, count = float(values.mean()), len(values)
    if count < 2:
        return np.array([mean, np.nan, np.nan])
    half = float(stdtrit(count - 1, 0.975)) * float(values.std(ddof=1)) / count**0.5
    return np.array([mean, mean - half, mean + half])


@dataclass(frozen=True)
class PairMeans:
    """Mean of an objective for each pair of answers to two choices, ``(a, b)`` each; ``nan`` without trials."""

    first: Sequence[str]
    second: Sequence[str]
    means: Floats
    counts: NDArray[np.int64]
    #: Mean minus the sum of both choices' own effects: what the pair does beyond them.
    interactions: Floats


def pair_means(results: ChoiceResults, first: str, second: str, metric: str) -> PairMeans:
    """Return the means of ``metric`` over the trials with each pair of answers."""
    values = results.values[:, results.metrics.index(metric)]
    rows, columns = results.answers(first), results.answers(second)
    places = [
        np.searchsorted(sorted(own), results.column(choice)) for own, choice in ((rows, first), (columns, second))
    ]
    shape = len(rows), len(columns)
    flat = np.ravel_multi_index((places[0], places[1]), shape)
    counts = np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape)
    sums = np.bincount(flat, weights=values, minlength=counts.size).reshape(shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / counts
        alone = sums.sum(axis=1, keepdims=True) / counts.sum(axis=1, keepdims=True)
        other = sums.sum(axis=0, keepdims=True) / counts.sum(axis=0, keepdims=True)
    interactions = means - (alone + other - values.mean())
    return PairMeans(
        [rows[code] for code in sorted(rows)],
        [columns[code] for code in sorted(columns)],
        means,
        counts,
        interactions,
    )
