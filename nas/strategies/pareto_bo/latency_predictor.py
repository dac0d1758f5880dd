"""Predicts the latency of networks on one target from few measurements, and from known latencies on other targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nas.strategies import Goal, Observation
from nas.strategies.pareto_bo.codes import Coded, levels_of
from nas.strategies.pareto_bo.model import Model

if TYPE_CHECKING:
    from nas.strategies import Suggestion

Floats = npt.NDArray[np.float64]
_LATENCY = "latency_ms"


@dataclass(frozen=True)
class MeasuredNetwork:
    """A network and its measured latency on a target.

    Attributes:
        suggestion: its questions and answers, and its features in the state.
        latency_ms: measured latency in milliseconds.
        spread_ms: standard deviation of the measured latency.
    """

    suggestion: Suggestion
    latency_ms: float
    spread_ms: float = 0.0


class LatencyPredictor:
    """A Gaussian process of the logarithm of the latency, the one of the strategy ``pareto_bo``.

    Its inputs are the answers, and the features of the traced graph. Features whose names start with ``OTHER_TARGET``
    are latencies of the same network on other targets: the process learns a line through each of them, and leaves out
    those that hardly correlate with the latency. The idea of describing a device by latencies of a few networks is that
    of HELP (Lee et al. 2021) and MultiPredict (Akhauri and Abdelfattah 2023), which train neural networks for it.

    Args:
        measured: at least two networks of one space, on one target; the numbers of their suggestions do not matter.
    """

    def __init__(self, measured: Sequence[MeasuredNetwork]) -> None:
        suggestions = [replace(item.suggestion, number=number) for number, item in enumerate(measured)]
        observations = [
            Observation(suggestion, "complete", {_LATENCY: item.latency_ms}, spreads={_LATENCY: item.spread_ms})
            for suggestion, item in zip(suggestions, measured, strict=True)
        ]
        coded = Coded(suggestions[0].questions)
        self._model = Model(Goal({_LATENCY: "minimize"}, {}), coded, observations, {})

    def predict(self, suggestions: Sequence[Suggestion], features: Sequence[Mapping[str, float]]) -> Floats:
        """Predicted latencies in ms of n networks, and both ends of their 95 % intervals, ``(n, 3)``."""
        levels = np.stack([levels_of(self._model.coder, item) for item in suggestions])
        return self._model.predicted(self._model.built(levels, features))[_LATENCY]
