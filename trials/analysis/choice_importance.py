"""Importance of each choice for each objective with its uncertainty, over thousands of trials in under a second.

The importance is PED-ANOVA (Watanabe et al. 2023, arXiv 2304.10255; choices of skipped slots as in arXiv 2601.20800) as
Optuna computes it, to which a test compares it. Optuna evaluates Python objects of every trial, which takes seconds for
1,000 trials of 60 choices; here the same densities follow from counts of answers, so that a bootstrap is affordable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.strategies.pareto import Floats, to_losses
from nas.tasks.intervals import Z
from trials.analysis.choices import MIN_COMPLETE, ChoiceResults

#: Most trials that importances are computed from; more are drawn at random.
MAX_TRIALS = 4000
RESAMPLES = 40
#: Share of the best trials that are compared with all.
_BEST = 0.1


@dataclass(frozen=True)
class Importances:
    """Importance of d choices for m objectives; for each objective, they sum to 1."""

    names: tuple[str, ...]
    metrics: tuple[str, ...]
    #: ``(m, d)``: the value, and the ends of its 95 % interval.
    values: Floats
    low: Floats
    high: Floats
    #: Number of trials that were used, of how many.
    used: int
    count: int

    def ranked(self, metric: str | None = None) -> list[str]:
        """Names by importance for an objective, the largest first; by default by the largest over all objectives."""
        rows = self.values if metric is None else self.values[[self.metrics.index(metric)]]
        return [self.names[place] for place in np.argsort(-rows.max(axis=0), kind="stable")]


def choice_importances(results: ChoiceResults, seed: int = 0) -> Importances | None:
    """Return the importances of the choices that have several answers; None if trials or choices are too few.

    The intervals are those of a normal distribution with the standard deviation of a bootstrap over trials.
    """
    used = results.sample(MAX_TRIALS, seed)
    places = [place for place, own in enumerate(used.options) if len(own) > 1]
    if len(used.numbers) < MIN_COMPLETE or not places:
        return None
    codes, sizes = used.codes[:, places], np.array([len(used.options[place]) for place in places])
    losses = to_losses(used.values, used.directions).T
    counted = _Counted(codes, sizes)
    generator = np.random.default_rng(seed)
    once, count = np.ones(len(codes)), len(codes)
    draws = [generator.multinomial(count, np.full(count, 1 / count)).astype(np.float64) for _ in range(RESAMPLES)]
    values = np.stack([counted.importances(column, once) for column in losses])
    spread = np.stack([np.std([counted.importances(column, draw) for draw in draws], axis=0) for column in losses])
    return Importances(
        names=tuple(used.names[place] for place in places),
        metrics=used.metrics,
        values=values,
        low=np.clip(values - Z * spread, 0.0, 1.0),
        high=np.clip(values + Z * spread, 0.0, 1.0),
        used=len(codes),
        count=len(results.numbers),
    )


class _Counted:
    """Counts of the answers of n trials to d choices, in one row of bins; the first bin of a choice: no effect."""

    def __init__(self, codes: NDArray[np.int32], sizes: NDArray[np.intp]) -> None:
        self._sizes = sizes
        self._starts = np.concatenate([[0], np.cumsum(sizes + 1)[:-1]])
        self._bins = codes + 1 + self._starts
        self._num_bins = int((sizes + 1).sum())
        self._owners = np.repeat(np.arange(len(sizes)), sizes + 1)
        self._is_answer = np.ones(self._num_bins, dtype=np.bool_)
        self._is_answer[self._starts] = False

    def importances(self, losses: Floats, weights: Floats) -> Floats:
        """Return the importances ``(d,)`` for losses ``(n,)``, where trial i counts ``weights[i]`` times."""
        order = np.argsort(losses, kind="stable")
        reached = np.searchsorted(np.cumsum(weights[order]), np.ceil(_BEST * weights.sum()))
        best = losses <= losses[order[reached]]
        every, top = self._counts(np.ones(len(best), dtype=np.bool_), weights), self._counts(best, weights)
        active, active_top = self._sums(every), self._sums(top)
        with np.errstate(invalid="ignore", divide="ignore"):
            divergence = self._divergence(top, every, active_top, active)
            scale = (active_top / (weights * best).sum()) ** 2 / (active / weights.sum())
        found = np.where((active >= 2) & (active_top > 0), scale * divergence, 0.0)
        total = found.sum()
        return found / total if total else np.full(len(found), 1 / len(found))

    def _counts(self, rows: NDArray[np.bool_], weights: Floats) -> Floats:
        """Weighted count of every bin over some trials."""
        repeated = np.repeat(weights[rows], len(self._sizes))
        return np.bincount(self._bins[rows].ravel(), repeated, self._num_bins).astype(np.float64)

    def _sums(self, counts: Floats) -> Floats:
        """Sum over the answers of each choice."""
        return np.bincount(self._owners, counts * self._is_answer, len(self._sizes)).astype(np.float64)

    def _divergence(self, top: Floats, every: Floats, active_top: Floats, active: Floats) -> Floats:
        """Pearson divergence of the answers of the best trials from those of all, for each choice."""
        near, far = self._density(top, active_top) + 1e-12, self._density(every, active) + 1e-12
        return self._sums(far * (near / far - 1) ** 2)

    def _density(self, counts: Floats, totals: Floats) -> Floats:
        """Density of each answer: a mixture of one kernel for each observed answer and a uniform one."""
        kernels = (self._sums((counts > 0).astype(np.float64)) + 1)[self._owners]
        size, total = self._sizes[self._owners], totals[self._owners]
        return ((counts + total / kernels) / (1 + size / kernels) + 1 / size) / (total + 1)
