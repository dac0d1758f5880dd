"""Keeps random candidates from clearly exceeding a latency limit, before there is a model of all objectives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from nas.strategies import Goal, Observation, Suggestion
from nas.strategies.pareto_bo.latency_predictor import LatencyPredictor, MeasuredNetwork

#: Smallest number of measured networks that a latency is predicted from, and the largest number, the newest ones.
FEWEST, NEWEST = 8, 300


class LatencyLimits:
    """Predicts the limited latencies of networks from those of measured networks.

    Args:
        goal: its positive upper bounds of ``latency_ms`` are the limits.
        known: the observations so far.
    """

    def __init__(self, goal: Goal, known: Sequence[Observation]) -> None:
        self._bounds: dict[str, float] = {}
        self._predictors: dict[str, LatencyPredictor] = {}
        for name, limit in goal.limits.items():
            if name.partition("@")[0] == "latency_ms" and limit.max and limit.min is None:
                found = [_measured(item, name, limit.max) for item in known]
                measured = [item for item in found if item is not None]
                if len(measured) >= FEWEST and len({item.latency_ms for item in measured}) > 1:
                    self._bounds[name], self._predictors[name] = limit.max, LatencyPredictor(measured[-NEWEST:])

    def predicted(self, suggestion: Suggestion, features: Mapping[str, float]) -> dict[str, list[float]]:
        """Limit → predicted latency in ms, and both ends of its 95 % interval."""
        found = self._predictors.items()
        return {name: predictor.predict([suggestion], [features])[0].tolist() for name, predictor in found}

    def excess(self, predicted: Mapping[str, Sequence[float]]) -> float:
        """The largest lower end of the ``predicted`` intervals, divided by its limit; 0 without predictions."""
        return max((low / self._bounds[name] for name, (_, low, _) in predicted.items()), default=0.0)


def _measured(item: Observation, name: str, bound: float) -> MeasuredNetwork | None:
    """A network with its latency, which follows from the violation of the limit if it is no objective."""
    latency_ms = item.values.get(name, bound * (1.0 + item.violations.get(name, math.nan)))
    if not math.isfinite(latency_ms) or latency_ms <= 0:
        return None
    return MeasuredNetwork(item.suggestion, latency_ms, item.spreads.get(name, 0.0))
