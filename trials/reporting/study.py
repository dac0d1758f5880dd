"""One study as all who show it see it: each fact is read at most once, each analysis is made at most once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from trials.analysis.membership import membership_of
from trials.store.read.points import Points, points
from trials.store.read.session import Source, reading
from trials.store.read.studies import StudySummary, study_summary
from trials.store.read.trials import Trial, all_trials


@dataclass(frozen=True)
class StudyView:
    """A study within one session of its database; ``study_view`` opens it."""

    source: Source
    name: str

    @cached_property
    def summary(self) -> StudySummary:
        """All there is without its trials."""
        return study_summary(self.source, self.name)

    @cached_property
    def points(self) -> Points:
        """Complete and infeasible trials on the objectives."""
        return points(self.source, self.name)

    @cached_property
    def shares(self) -> Mapping[int, float]:
        """Number of each complete trial → probability that it is on the front."""
        return membership_of(self.points)

    @cached_property
    def trials(self) -> Sequence[Trial]:
        """Every trial with its choices, metrics and times."""
        return all_trials(self.source, self.name)

    def trial_table(self) -> list[dict[str, Any]]:
        """See ``trial_table``."""
        with_ends = {name for trial in self.trials for name, value in trial.metrics.items() if value.low is not None}
        metrics = dict.fromkeys(name for trial in self.trials for name in trial.metrics)
        metrics = dict.fromkeys([*self.summary.row.objectives, *sorted(metrics)])
        choices = dict.fromkeys(name for trial in self.trials for name in trial.choices)
        return [
            {
                "number": trial.number,
                "state": trial.state,
                "reason": trial.reason,
                "on_front": self.shares.get(trial.number),
                **{key: value for name in metrics for key, value in _cells(trial, name, name in with_ends)},
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
            for trial in self.trials
        ]


def _cells(trial: Trial, metric: str, with_ends: bool) -> Iterator[tuple[str, float | None]]:
    found = trial.metrics.get(metric)
    yield metric, found.value if found else None
    if with_ends:
        yield f"{metric}_low", found.low if found else None
        yield f"{metric}_high", found.high if found else None


@contextmanager
def study_view(source: Source, name: str) -> Iterator[StudyView]:
    """The study ``name``, readable within the block: all of it in one session.

    Raises:
        UnknownNameError: no such study.
    """
    with reading(source) as session:
        view = StudyView(session, name)
        view.summary  # noqa: B018  (says that there is no such study)
        yield view


def trial_table(source: Source, name: str) -> list[dict[str, Any]]:
    """One row for each trial of the study ``name``, in the order of proposal; every row has every column.

    Columns, in this order; None where something is not known:

    - ``number``, ``state``, ``reason``, and ``on_front``: the probability of a complete trial to be on the front;
    - each metric, the objectives first, then by name: ``accuracy``; where any trial has an interval of 95 %, also
      ``accuracy_low`` and ``accuracy_high``. The first target goes without saying: ``latency_ms``, ``latency_ms@pi``;
    - ``parameters``, ``macs``, and ``trust``: that of its newest latencies, the worst over targets (``good``,
      ``unverified``, ``quarantined``);
    - ``train_s`` and ``measure_s``: seconds of its trainings and of its measurements; ``started_at`` and
      ``finished_at``: UTC; ``original``: whether it is the user's own network as it is;
    - each choice: ``choice.stem.width``; None where it has no effect on the trial's network.

    Raises:
        UnknownNameError: no such study.
    """
    with study_view(source, name) as view:
        return view.trial_table()
