"""Comparisons of the targets of a study: the front on each target, and how similarly targets rank candidates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from trials.analysis.ranks import kendall
from trials.store.read.points import Points, points
from trials.store.read.session import Source
from trials.store.read.studies import StudySummary
from trials.store.target_metrics import TARGET_METRICS


@dataclass(frozen=True)
class RankCorrelation:
    """The rank correlation of latency between two targets."""

    first: str
    second: str
    #: Kendall's tau-b: 1 for equal orders, -1 for reverse orders, 0 for unrelated ones; None if it is not defined.
    tau: float | None
    #: Number of candidates measured on both.
    count: int


def fronts_by_target(source: Source, summary: StudySummary) -> dict[str, Points]:
    """Return target → candidates on the study's objectives, measured on this target; empty for a study of one target.

    If an objective is a metric of a target, it is taken from each target in turn, whichever target the plan names.
    """
    if len(summary.targets) < 2:
        return {}
    goals = {target: goals_at(summary.row.objectives, target) for target in summary.targets}
    return {target: points(source, summary.row.name, goals=own) for target, own in goals.items()}


def goals_at(objectives: Mapping[str, str], target: str) -> dict[str, str]:
    """Return objective → direction, with every metric of a target replaced by the metric of the given target."""
    names = {key: key.partition("@")[0] for key in objectives}
    return {
        f"{names[key]}@{target}" if names[key] in TARGET_METRICS else key: direction
        for key, direction in objectives.items()
    }


def rank_correlations(source: Source, summary: StudySummary) -> list[RankCorrelation]:
    """Return the rank correlation of each pair of the study's targets; empty for a study of one target."""
    targets = summary.targets
    if len(targets) < 2:
        return []
    found = points(source, summary.row.name, [f"latency_ms@{target}" for target in targets]).values
    return [_correlation(targets, found, first, second) for first, second in combinations(range(len(targets)), 2)]


def _correlation(targets: Sequence[str], latencies: np.ndarray, first: int, second: int) -> RankCorrelation:
    both = latencies[np.isfinite(latencies[:, [first, second]]).all(axis=1)]
    tau = kendall(both[:, first], both[:, second]) if len(both) > 1 else math.nan
    return RankCorrelation(targets[first], targets[second], None if math.isnan(tau) else tau, len(both))
