"""A candidate's latency beside that of its dense twin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Metric → its value where nothing was compressed, and what a smaller one is called.
COMPRESSIONS: Mapping[str, tuple[float, str]] = {"density": (1.0, "sparser"), "weight_bits": (32.0, "of fewer bits")}


@dataclass(frozen=True)
class Speedup:
    """Latencies on one target, each with the end of its 95 % interval that is nearer to the other."""

    target: str
    latency_ms: float
    high_ms: float
    dense_latency_ms: float
    dense_low_ms: float

    @property
    def speedup(self) -> float:
        """Times as fast as the dense twin."""
        return self.dense_latency_ms / self.latency_ms

    @property
    def is_faster(self) -> bool:
        """Whether the candidate's whole interval lies below its twin's."""
        return self.high_ms < self.dense_low_ms


def flags(speedups: Sequence[Speedup], values: Mapping[str, float]) -> tuple[str, ...]:
    """``sparser but not faster``, of every target where it is so; named where there are several."""
    how = [word for metric, (neutral, word) in COMPRESSIONS.items() if values.get(metric, neutral) < neutral]
    words = f"{' and '.join(how) or 'compressed'} but not faster"
    where = (f" at {item.target}" if len(speedups) > 1 else "" for item in speedups if not item.is_faster)
    return tuple(words + place for place in where)
