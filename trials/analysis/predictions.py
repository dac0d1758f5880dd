"""Compares latencies that a strategy predicted with the latencies that were then measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trials.analysis.ranks import spearman
from trials.store.read.predictions import PredictedLatency


@dataclass(frozen=True)
class PredictionError:
    """The error of the predicted latencies of a study on one target."""

    target: str
    #: Number of candidates whose latency was predicted before it was measured.
    count: int
    #: Median of ``|predicted - measured| / measured``.
    median_relative_error: float
    #: Spearman's rank correlation of predicted and measured latencies; None if it is not defined.
    spearman: float | None
    #: Share of the measured latencies that lie in the predicted 95 % interval.
    share_in_interval: float


def prediction_errors(predicted: Sequence[PredictedLatency]) -> list[PredictionError]:
    """Return the error on each target with predictions, in the order of the first prediction."""
    targets = dict.fromkeys(item.target for item in predicted)
    return [_error(target, [item for item in predicted if item.target == target]) for target in targets]


def _error(target: str, predicted: Sequence[PredictedLatency]) -> PredictionError:
    guess, low, high, true = np.array(
        [(item.predicted_ms, item.low_ms, item.high_ms, item.measured_ms) for item in predicted]
    ).T
    varied = len(predicted) > 1 and np.ptp(guess) > 0 and np.ptp(true) > 0
    rank = spearman(guess, true) if varied else math.nan
    return PredictionError(
        target=target,
        count=len(predicted),
        median_relative_error=float(np.median(np.abs(guess - true) / true)),
        spearman=None if math.isnan(rank) else rank,
        share_in_interval=float(np.mean((low <= true) & (true <= high))),
    )
