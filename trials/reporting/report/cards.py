"""The numbers at the top of the report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trials.analysis.membership import SURE
from trials.reporting.labels import duration, inline, number
from trials.reporting.study import StudyView


@dataclass(frozen=True)
class Card:
    """One number and its description."""

    value: str
    text: str


def cards(study: StudyView) -> Iterator[Card]:
    """Yield trials by state, size of the front, best values, time saved, wall time, hypervolumes."""
    row, totals = study.row, study.summary.totals
    total = sum(row.counts.values())
    yield Card(str(total), "trials: " + ", ".join(f"{count} {state}" for state, count in row.counts.items()))
    unsure = sum(study.shares.get(int(key), 0.0) < SURE for key in study.front.numbers)
    text = "on the Pareto front" + (f", {unsure} of them not certainly" if unsure else "")
    yield Card(str(len(study.front.numbers)), text)
    for metric, direction in row.objectives.items():
        word = "highest" if direction == "maximize" else "lowest"
        yield Card(number(metric, row.best.get(metric)), f"{word} {inline(metric)}")
    costs = study.costs
    if saved := sum(costs.saved_s.values()):
        share = saved / (saved + costs.train_s + costs.measure_s)
        yield Card(duration(saved), f"saved ({share:.0%}) against training every suggestion; see Costs")
    if totals.get("wall_s"):
        yield Card(duration(float(totals["wall_s"])), "wall time spent")
    for role, volumes in study.hypervolumes.items():
        word = f"mean of {len(volumes)} runs" if len(volumes) > 1 else "one run"
        yield Card(f"{np.mean(volumes):.3f}", f"hypervolume of the {role}, {word}")
