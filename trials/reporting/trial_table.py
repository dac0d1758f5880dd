"""All trials of a study as one table, for pandas and other programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trials.store.read.trials import Trial


def trial_table(
    trials: Sequence[Trial], shares: Mapping[int, float], objectives: Sequence[str]
) -> list[dict[str, Any]]:
    """Return one row for each trial, in the given order; every row has every column.

    The columns in order; a value that is not known is None:

    - ``number``, ``state``, ``reason``, and ``front_probability``: how likely a complete trial is on the front;
    - ``beware``: reasons to doubt its scores, for example a training of very few steps;
    - each objective: ``accuracy``; where any trial has a 95 % interval, also ``accuracy_low`` and ``accuracy_high``. A
      metric without a target is that of the first one: ``latency_ms``, ``latency_ms@pi``;
    - each choice: ``choice.stem.width``; None where it has no effect on the trial's network;
    - ``parameters``, ``macs``, and ``trust``, the worst over targets of the trial's newest latencies: ``good``,
      ``unverified`` or ``quarantined``;
    - ``train_s`` and ``measure_s``: seconds of its trainings and of its measurements; ``started_at`` and
      ``finished_at``, in UTC; ``original``: whether it is the user's own unchanged network;
    - every other metric, sorted by name, in the format of the objectives.
    """
    further = sorted({name for trial in trials for name in trial.metrics} - set(objectives))
    with_ends = {name for trial in trials for name, value in trial.metrics.items() if value.low is not None}
    choices = dict.fromkeys(name for trial in trials for name in trial.choices)
    return [
        {
            "number": trial.number,
            "state": trial.state,
            "reason": trial.reason,
            "front_probability": shares.get(trial.number),
            "beware": "; ".join(trial.doubts) or None,
            **_numbers(trial, objectives, with_ends),
            **{f"choice.{name}": trial.choices.get(name) for name in choices},
            "parameters": trial.parameters,
            "macs": trial.macs,
            "trust": trial.trust,
            "train_s": trial.train_s,
            "measure_s": trial.measure_s,
            "started_at": trial.started_at,
            "finished_at": trial.finished_at,
            "original": trial.original,
            **_numbers(trial, further, with_ends),
        }
        for trial in trials
    ]


def _numbers(trial: Trial, metrics: Sequence[str], with_ends: set[str]) -> dict[str, float | None]:
    cells: dict[str, float | None] = {}
    for metric in metrics:
        found = trial.metrics.get(metric)
        cells[metric] = found.value if found else None
        if metric in with_ends:
            cells |= {f"{metric}_low": found.low if found else None, f"{metric}_high": found.high if found else None}
    return cells
