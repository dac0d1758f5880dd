"""How well unfinished trainings rank candidates: the rank correlation of early scores with those at the end."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nas.halving import Halving
from trials.analysis.ranks import spearman
from trials.store.read.epochs import num_epochs, scores_after
from trials.store.read.points import points
from trials.store.read.session import Source
from trials.store.read.studies import StudySummary

#: A correlation of fewer candidates says nothing.
_FEWEST = 5


@dataclass(frozen=True)
class RungCorrelation:
    """Spearman's rank correlation of a score after some epochs with the score at the end, over complete candidates."""

    metric: str
    epochs: int
    #: Epochs of a finished training.
    of: int
    spearman: float
    #: Number of candidates.
    count: int


def rung_correlations(source: Source, summary: StudySummary) -> list[RungCorrelation]:
    """Return the correlation of each objective at each rung; without halving, at the rungs that it has by default.

    Objectives that are no scores of a training, and rungs that fewer than five complete candidates have, are left out.
    """
    of = num_epochs(source, summary.row.name)
    halving = Halving.model_validate(summary.plan.get("estimator", {}).get("halving") or {})
    found = []
    for metric in summary.row.objectives:
        final = points(source, summary.row.name, [metric])
        last = {int(number): float(value) for number, value in zip(final.numbers, final.values[:, 0], strict=True)}
        for epochs in halving.rungs(of):
            early = scores_after(source, summary.row.name, metric, epochs)
            both = [
                (value, last[number]) for number, value in early.items() if math.isfinite(last.get(number, math.nan))
            ]
            rho = _spearman(both)
            if rho is not None:
                found.append(RungCorrelation(metric, epochs, of, rho, len(both)))
    return found


def _spearman(pairs: list[tuple[float, float]]) -> float | None:
    """Return the rank correlation; None for few pairs, or if all values of one kind are equal."""
    values = np.array(pairs).reshape(-1, 2)
    if len(values) < _FEWEST or (np.ptp(values, axis=0) == 0).any():
        return None
    return spearman(values[:, 0], values[:, 1])
