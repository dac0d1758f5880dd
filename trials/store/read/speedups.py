"""Compare the latency of a candidate with that of its dense twin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Metric → its value in a dense network, and the word for a smaller value.
COMPRESSIONS: Mapping[str, tuple[float, str]] = {"density": (1.0, "sparser"), "weight_bits": (32.0, "of fewer bits")}


@dataclass(frozen=True)
class Speedup:
    """Latency of a candidate and its dense twin on one target, each with the nearer end of its 95 % interval."""

    target: str
    latency_ms: float
    high_ms: float
    dense_latency_ms: float
    dense_low_ms: float

    @property
    def speedup(self) -> float:
        """Latency of the dense twin, divided by that of the candidate."""
        return self.dense_latency_ms / self.latency_ms

    @property
    def is_faster(self) -> bool:
        """Whether the candidate's whole interval lies below its twin's interval."""
        return self.high_ms < self.dense_low_ms


def flags(speedups: Sequence[Speedup], values: Mapping[str, float]) -> tuple[str, ...]:
    """``sparser but not faster`` for every target where this holds; the target is named if there are several."""
    how = [word for metric, (neutral, word) in COMPRESSIONS.items() if values.get(metric, neutral) < neutral]
    words = f"{' and '.join(how) or 'compressed'} but not faster"
    where = (f" at {item.target}" if len(speedups) > 1 else "" for item in speedups if not item.is_faster)
    return tuple(words + place for place in where)
