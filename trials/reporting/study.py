"""One study as report, dashboard and command line show it: each fact is read once, each analysis is made once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nas.tasks.per_class import PREFIX
from trials.analysis.by_target import RankCorrelation, fronts_by_target, rank_correlations
from trials.analysis.histories import History, histories_of
from trials.analysis.membership import membership_of
from trials.reporting.comparison import Comparison, comparison
from trials.reporting.trial_table import trial_table
from trials.reporting.verdict import verdict
from trials.store.read.candidate import CandidateDetail, ExportInfo, candidate_detail, exports
from trials.store.read.candidates import CandidateRow, candidates_page
from trials.store.read.doubts import study_doubts
from trials.store.read.points import Points, points
from trials.store.read.session import Source, reading
from trials.store.read.studies import StudyRow, StudySummary, compared_studies, study_summary
from trials.store.read.trials import Trial, all_trials


@dataclass(frozen=True)
class StudyView:
    """A study within one session of its database; ``study_view`` opens it."""

    source: Source
    name: str

    @cached_property
    def summary(self) -> StudySummary:
        """Everything but its trials."""
        return study_summary(self.source, self.name)

    @property
    def row(self) -> StudyRow:
        """Its line in the list of studies."""
        return self.summary.row

    @cached_property
    def doubts(self) -> Sequence[str]:
        """Sentences about trainings whose scores are doubtful."""
        return study_doubts(self.source, self.name)

    @property
    def shown_metrics(self) -> list[str]:
        """Metrics that tables show: without those of single classes, unless one is an objective."""
        return [name for name in self.summary.metrics if not name.startswith(PREFIX) or name in self.row.objectives]

    @property
    def axes(self) -> list[str]:
        """What the front is drawn of: the first objective over the second, or over the order of proposal."""
        return [*self.row.objectives, "number"][:2]

    @cached_property
    def points(self) -> Points:
        """Complete and infeasible trials on the objectives."""
        return self._columns.on(self._columns.objectives)

    def points_on(self, metrics: Sequence[str]) -> Points:
        """Complete and infeasible trials on other columns; see ``trials.store.read.points.points``."""
        known = set(metrics) <= set(self._columns.metrics)
        return self._columns.on(metrics) if known else points(self.source, self.name, metrics)

    @cached_property
    def front(self) -> Points:
        """Trials on the Pareto front, on ``axes``."""
        return self.points_on(self.axes).front()

    @cached_property
    def shares(self) -> Mapping[int, float]:
        """Number of each complete trial → probability that it is on the front."""
        return membership_of(self.points)

    @cached_property
    def fronts_by_target(self) -> Mapping[str, Points]:
        """Target → trials on the objectives as they are there; empty for one target."""
        return fronts_by_target(self.source, self.summary)

    @cached_property
    def rank_correlations(self) -> Sequence[RankCorrelation]:
        """How alike each pair of targets ranks the trials."""
        return rank_correlations(self.source, self.summary)

    @cached_property
    def group(self) -> Sequence[StudyRow]:
        """Searches and baselines it is compared with, and itself, oldest first."""
        return compared_studies(self.source, self.row)

    @cached_property
    def histories(self) -> Sequence[History]:
        """How each study of ``group`` went on, in one box of hypervolume."""
        return histories_of(
            [self.points if row.name == self.name else points(self.source, row.name) for row in self.group]
        )

    @property
    def history(self) -> History:
        """How the study itself went on."""
        return next(run for run in self.histories if run.study == self.name)

    @property
    def hypervolume(self) -> float | None:
        """What the study came to, in the box of ``group``; None before its first complete trial."""
        return float(self.history.hypervolume[-1]) if len(self.history.numbers) else None

    @property
    def hypervolumes(self) -> dict[str, list[float]]:
        """Role → what each of its runs in ``group`` came to, of those that have a complete trial."""
        found: dict[str, list[float]] = {}
        for run in self.histories:
            if len(run.numbers):
                found.setdefault(run.role, []).append(float(run.hypervolume[-1]))
        return found

    @property
    def has_baseline(self) -> bool:
        """Whether a baseline is in ``group``."""
        return any(row.role == "baseline" for row in self.group)

    @property
    def lacks_baseline(self) -> bool:
        """Whether it is a search without a baseline."""
        return self.row.role == "search" and not self.has_baseline

    @property
    def verdict(self) -> str:
        """One sentence: search against baseline; empty where there is nothing to compare."""
        return verdict(self.group, self.histories) if self.has_baseline else ""

    @cached_property
    def comparison(self) -> Comparison | None:
        """Networks found beside random masks and dense parents."""
        return comparison(self.source, self.name)

    @cached_property
    def exports(self) -> Sequence[ExportInfo]:
        """Trials that were exported."""
        return exports(self.source, self.name)

    @cached_property
    def trials(self) -> Sequence[Trial]:
        """Every trial with its choices, metrics and times."""
        return all_trials(self.source, self.name)

    def trial_table(self) -> list[dict[str, Any]]:
        """One row for each trial; see ``trials.reporting.trial_table``."""
        return trial_table(self.trials, self.shares, list(self.row.objectives))

    def rows(self, numbers: Sequence[int]) -> dict[int, CandidateRow]:
        """Number → the trial as a line of a table, of those that exist, in the order of ``numbers``."""
        page = candidates_page(self.source, self.name, limit=len(numbers), numbers=numbers)
        found = {row.number: row for row in page.rows}
        return {key: found[key] for key in numbers if key in found}

    def detail(self, number: int) -> CandidateDetail:
        """Everything about one trial.

        Raises:
            UnknownNameError: there is none of that number.
        """
        return candidate_detail(self.source, self.name, number)

    @cached_property
    def _columns(self) -> Points:
        return points(self.source, self.name, [*self.row.objectives, "number"])


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
