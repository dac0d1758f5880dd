"""All trials of a study as one table, for pandas and other programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trials.store.read.trials import Trial


def trial_table(
    trials: Sequence[Trial], shares: Mapping[int, float], objectives: Sequence[str]
) -> list[dict[str, Any]]:
    """One row for each trial, in the given order; every row has every column.

    Columns, in this order; None where something is not known:

    - ``number``, ``state``, ``reason``, and ``on_front``: the probability of a complete trial to be on the front;
    - each metric, the objectives first, then by name: ``accuracy``; where any trial has an interval of 95 %, also
      ``accuracy_low`` and ``accuracy_high``. A metric without a target is that of the first one: ``latency_ms``,
      ``latency_ms@pi``;
    - ``parameters``, ``macs``, and ``trust``: that of its newest latencies, the worst over targets (``good``,
      ``unverified``, ``quarantined``);
    - ``train_s`` and ``measure_s``: seconds of its trainings and of its measurements; ``started_at`` and
      ``finished_at``: UTC; ``original``: whether it is the user's own network as it is;
    - each choice: ``choice.stem.width``; None where it has no effect on the trial's network.
    """
    names = {name for trial in trials for name in trial.metrics}
    metrics = list(dict.fromkeys([*objectives, *sorted(names)]))
    with_ends = {name for trial in trials for name, value in trial.metrics.items() if value.low is not None}
    choices = dict.fromkeys(name for trial in trials for name in trial.choices)
    return [
        {
            "number": trial.number,
            "state": trial.state,
            "reason": trial.reason,
            "on_front": shares.get(trial.number),
            **_numbers(trial, metrics, with_ends),
            "parameters": trial.parameters,
            "macs": trial.macs,
            "trust": trial.trust,
            "train_s": trial.train_s,
            "measure_s": trial.measure_s,
            "started_at": trial.started_at,
            "finished_at": trial.finished_at,
            "original": trial.original,
            **{f"choice.{name}": trial.choices.get(name) for name in choices},
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
