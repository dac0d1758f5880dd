from __future__ import annotations

import numpy as np
import pytest

from nas.errors import MeasureError
from nas.latency.protocol.intervals import derive
from nas.latency.protocol.pooling import pooled
from nas.latency.protocol.samples import Samples, Visit, burst_array


def samples(latency_ms: float, reference_ms: float, sessions: int, seed: int, clock: str = "process") -> Samples:
    random = np.random.default_rng(seed)

    def burst(time_ms: float) -> np.ndarray:
        times = [int(1e6 * time_ms * (1 + random.gamma(1.5, 0.01))) for _ in range(5)]
        return burst_array(times, times, [0] * 5)

    visits = [tuple(Visit(burst(latency_ms), burst(reference_ms)) for _ in range(6)) for _ in range(sessions)]
    return Samples(tuple(visits), "wall" if clock == "wall" else "process")


def test_pooled_is_one_measurement_of_all_sessions() -> None:
    first, second = samples(1.0, 0.5, 2, 0), samples(1.0, 0.5, 4, 1)
    together, reference_ms = pooled([(first, 0.5), (second, 0.5)])
    assert together.sessions == first.sessions + second.sessions
    before, after = derive(first, 0.5), derive(together, reference_ms)
    assert after.half_width < before.half_width


def test_another_rung_speaks_of_the_same_latency() -> None:
    """The second measurement used a reference model that is three times as slow."""
    first, second = samples(1.0, 0.5, 3, 0), samples(1.0, 1.5, 3, 1)
    together, reference_ms = pooled([(first, 0.5), (second, 1.5)])
    assert reference_ms == 0.5
    assert derive(together, reference_ms).latency_ms == pytest.approx(1.0, rel=0.02)
    alone, alone_ms = pooled([(second, 1.5)])
    assert derive(alone, alone_ms) == derive(second, 1.5)


def test_different_clocks_are_refused() -> None:
    with pytest.raises(MeasureError, match="process, wall"):
        pooled([(samples(1.0, 0.5, 1, 0), 0.5), (samples(1.0, 0.5, 1, 0, "wall"), 0.5)])
