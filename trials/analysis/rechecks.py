"""What another environment changes: which networks are slower there, in which layers, and which are on the front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nas.strategies.pareto import pareto_front
from trials.analysis.profiles import OWN, layer_times
from trials.store.read.points import Points

#: Ratios up to this distance from 1 are equal speed.
TOLERANCE = 0.02
#: A layer is named if it takes this much longer, and the difference is at least this share of the run.
LAYER_GROWTH, LAYER_SHARE = 1.1, 0.02


@dataclass(frozen=True)
class LayerChange:
    """A layer that takes longer in the other environment, by the profilers of both."""

    layer: str
    ops: str
    present_ms: float
    other_ms: float


@dataclass(frozen=True)
class Rechecked:
    """One network in the other environment."""

    trial: int
    #: Its time there divided by its time here, and the ends of the 95 % interval.
    ratio: float
    low: float
    high: float
    slower_layers: tuple[LayerChange, ...] = ()

    @property
    def change(self) -> str:
        """``slower`` or ``faster`` if that is certain, else ``equal``."""
        if self.low > 1 + TOLERANCE:
            return "slower"
        return "faster" if self.high < 1 - TOLERANCE else "equal"


@dataclass(frozen=True)
class Recheck:
    """The front of a study in another environment."""

    target: str
    #: Runtime and its version, here and there.
    present: str
    other: str
    python: str
    trials: Sequence[Rechecked]
    #: Trials that are on the front in one environment only.
    entered: Sequence[int]
    left: Sequence[int]
    #: Whether an objective of the study is a latency on the target; if not, the front can't change.
    is_objective: bool = True

    def to_json(self) -> dict[str, Any]:
        """JSON values for ``from_json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recheck:
        """Read what ``to_json`` wrote."""
        trials = [
            Rechecked(**{**item, "slower_layers": tuple(LayerChange(**layer) for layer in item["slower_layers"])})
            for item in data["trials"]
        ]
        return cls(**{**data, "trials": trials})

    @property
    def verdict(self) -> str:
        """The result in two sentences."""
        parts = []
        for change in ("slower", "faster", "equal"):
            found = [item for item in self.trials if item.change == change]
            if found:
                ratios = [item.ratio for item in found]
                word = "equally fast" if change == "equal" else change
                span = " to ".join(dict.fromkeys(f"{ratio:.3f}" for ratio in (min(ratios), max(ratios))))
                parts.append(f"{len(found)} of {len(self.trials)} {word} (ratio {span})")
        moves = [
            f"{'trials' if len(numbers) > 1 else 'trial'} {', '.join(map(str, numbers))} {verb}"
            for numbers, verb in (
                (self.entered, "enter" if len(self.entered) > 1 else "enters"),
                (self.left, "leave" if len(self.left) > 1 else "leaves"),
            )
            if numbers
        ]
        if not self.is_objective:
            front = f"The front does not depend on {self.target}: no objective is a latency on it."
        else:
            front = f"The front changes: {'; '.join(moves)}." if moves else "The front stays as it is."
        return f"{self.other} against {self.present} on {self.target}: {', '.join(parts)}. {front}"


def changed_front(points: Points, columns: Sequence[int], ratios: Mapping[int, float]) -> tuple[list[int], list[int]]:
    """Return the trials that enter and that leave the front if latencies change by ratios.

    Args:
        points: trials on the objectives, of which those in ``ratios`` are compared.
        columns: indices of the objectives that are latencies on the target.
        ratios: trial → ratio.
    """
    kept = points.take(np.isin(points.numbers, list(ratios)))
    values = kept.values.copy()
    values[:, columns] *= np.array([ratios[int(number)] for number in kept.numbers])[:, None]
    before = {int(kept.numbers[row]) for row in pareto_front(kept.values, kept.directions)}
    after = {int(kept.numbers[row]) for row in pareto_front(values, kept.directions)}
    return sorted(after - before), sorted(before - after)


def slower_layers(present: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> tuple[LayerChange, ...]:
    """Return the layers that take longer in ``other``, the largest difference first.

    Args:
        present: nodes of the profile in this environment, each with ``layer``, ``op`` and ``time_ms``.
        other: nodes of the profile in the other environment.
    """
    before = {item.layer: item.time_ms for item in layer_times(present)}
    least_ms = LAYER_SHARE * sum(before.values())
    found = [
        LayerChange(item.layer or OWN, item.ops, before.get(item.layer, 0.0), item.time_ms)
        for item in layer_times(other)
    ]
    grown = [
        item
        for item in found
        if item.other_ms > LAYER_GROWTH * item.present_ms and item.other_ms - item.present_ms > least_ms
    ]
    return tuple(sorted(grown, key=lambda item: item.present_ms - item.other_ms))
