"""The gap between validation and test scores of an exported network, which was chosen for its validation score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot
from typing import Any

from trials.store.read.candidates import Value

#: Split → metric → value with its interval.
Scores = Mapping[str, Mapping[str, Value]]
GAP_NOTE = (
    "A network is chosen for its validation score, so this score is biased upwards (the winner's curse). The test "
    "split is only scored when the network is exported. Intervals are 95 % intervals over the examples of a split; the "
    "interval of the gap treats the two splits as independent."
)


@dataclass(frozen=True)
class Gap:
    """One metric of an exported network on both splits."""

    metric: str
    validation: Value
    test: Value

    @property
    def difference(self) -> Value:
        """Validation minus test, with an interval if both have one."""
        value = self.validation.value - self.test.value
        halves = [_half(item) for item in (self.validation, self.test)]
        if None in halves:
            return Value(value)
        half = hypot(*(half or 0.0 for half in halves))
        return Value(value, value - half, value + half)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values, with ``[value, low, high]`` for each number."""
        parts = {"validation": self.validation, "test": self.test, "gap": self.difference}
        return {"metric": self.metric, **{name: _listed(value) for name, value in parts.items()}}


def gaps(scores: Scores) -> list[Gap]:
    """Return one gap per metric that was scored on both splits."""
    test = scores.get("test", {})
    return [Gap(name, value, test[name]) for name, value in scores.get("validation", {}).items() if name in test]


def in_json(scores: Scores) -> dict[str, dict[str, list[Any]]]:
    """Return scores as JSON values, as the database stores them with an export."""
    return {split: {name: _listed(value) for name, value in found.items()} for split, found in scores.items()}


def _half(value: Value) -> float | None:
    return None if value.low is None or value.high is None else (value.high - value.low) / 2


def _listed(value: Value) -> list[Any]:
    return [value.value, value.low, value.high]
