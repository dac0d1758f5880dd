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
    """Yield trials by state, size of the front, best values, training saved by the gate, wall time, hypervolumes."""
    row, totals = study.row, study.summary.totals
    total = sum(row.counts.values())
    yield Card(str(total), "trials: " + ", ".join(f"{count} {state}" for state, count in row.counts.items()))
    unsure = sum(study.shares.get(int(key), 0.0) < SURE for key in study.front.numbers)
    text = "on the Pareto front" + (f", {unsure} of them not certainly" if unsure else "")
    yield Card(str(len(study.front.numbers)), text)
    for metric, direction in row.objectives.items():
        word = "highest" if direction == "maximize" else "lowest"
        yield Card(number(metric, row.best.get(metric)), f"{word} {inline(metric)}")
    saved, trained = float(totals.get("training_saved_s", 0.0)), float(totals.get("train_s", 0.0))
    gated = int(totals.get("gated", 0))
    if gated:
        share = f" ({saved / (saved + trained):.0%})" if trained else ""
        text = f"of training saved{share}: {gated} of {total} candidates were rejected before the training"
        yield Card(duration(saved), text)
    if totals.get("wall_s"):
        yield Card(duration(float(totals["wall_s"])), "wall time spent")
    for role, volumes in study.hypervolumes.items():
        word = f"mean of {len(volumes)} runs" if len(volumes) > 1 else "one run"
        yield Card(f"{np.mean(volumes):.3f}", f"hypervolume of the {role}, {word}")
