"""The view of one study that report, dashboard and command line share: each fact is read once and analysed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nas.strategies.pareto import Floats
from nas.tasks.per_class import PREFIX
from trials.analysis.activity import Reason, Spent, grouped, spent
from trials.analysis.by_target import RankCorrelation, fronts_by_target, rank_correlations
from trials.analysis.choice_importance import Importances, choice_importances
from trials.analysis.choices import ChoiceResults, choice_results
from trials.analysis.histories import History, histories_of
from trials.analysis.imported import dominating
from trials.analysis.listing import Listing, listed
from trials.analysis.membership import membership_of
from trials.analysis.predictions import PredictionError, prediction_errors
from trials.analysis.rechecks import Recheck
from trials.analysis.rungs import RungCorrelation, rung_correlations
from trials.reporting.comparison import Comparison, comparison
from trials.reporting.recommend import Recommended, recommended
from trials.reporting.trial_table import trial_table
from trials.reporting.verdict import verdict
from trials.store.read.activity import ended_early
from trials.store.read.candidate import CandidateDetail, ExportInfo, candidate_detail, exports
from trials.store.read.candidates import CandidateRow, candidates_page
from trials.store.read.choices import study_choices
from trials.store.read.columns import StudyColumns
from trials.store.read.costs import Costs, study_costs
from trials.store.read.doubts import study_doubts
from trials.store.read.final_trainings import FinalTrainingInfo, final_trainings
from trials.store.read.imported import ImportedNetwork, imported_networks
from trials.store.read.measurements import Measurements, measurements
from trials.store.read.metric_names import is_at_rung
from trials.store.read.points import Points, points
from trials.store.read.predictions import predicted_latencies
from trials.store.read.rechecks import rechecks
from trials.store.read.remarks import remarks
from trials.store.read.session import Source, reading
from trials.store.read.studies import StudyRow, StudySummary, compared_studies, study_summary
from trials.store.read.trials import Trial, all_trials
from trials.store.records import Remark

if TYPE_CHECKING:
    from trials.analysis.what_if import Forests


@dataclass(frozen=True)
class StudyView:
    """A study in one state; ``study_view`` opens a view within one session of its database."""

    source: Source
    name: str
    #: Name of a study → columns of it that were read before, or None.
    known_columns: Callable[[str], StudyColumns | None] = lambda _: None

    @cached_property
    def summary(self) -> StudySummary:
        """Everything stored about the study except for its trials."""
        return study_summary(self.source, self.name)

    @property
    def row(self) -> StudyRow:
        """The study's row in the list of studies."""
        return self.summary.row

    @cached_property
    def doubts(self) -> Sequence[str]:
        """Warnings about trainings whose scores are unreliable."""
        return study_doubts(self.source, self.name)

    @property
    def shown_metrics(self) -> list[str]:
        """Metrics that tables show: no scores of single classes or at rungs, unless they are objectives."""
        names = self.summary.metrics
        return [
            name for name in names if name in self.row.objectives or not (name.startswith(PREFIX) or is_at_rung(name))
        ]

    @property
    def axes(self) -> list[str]:
        """Axes of the front: the first two objectives, or the only objective and the trial number."""
        return [*self.row.objectives, "number"][:2]

    @cached_property
    def points(self) -> Points:
        """Complete and infeasible trials on the objectives."""
        return points(self.source, self.name, columns=self._columns)

    def points_on(self, metrics: Sequence[str]) -> Points:
        """Complete and infeasible trials on other columns; see ``trials.store.read.points.points``."""
        return points(self.source, self.name, metrics, columns=self._columns)

    @cached_property
    def front(self) -> Points:
        """Trials on the Pareto front, on ``axes``."""
        return self.points_on(self.axes).front()

    @cached_property
    def recommended(self) -> Sequence[Recommended]:
        """Trials of the front that are worth a look, and why."""
        return recommended(self.points)

    @cached_property
    def shares(self) -> Mapping[int, float]:
        """Number of each complete trial → probability that it is on the front."""
        return membership_of(self.points)

    @cached_property
    def fronts_by_target(self) -> Mapping[str, Points]:
        """Target → trials on the objectives measured on this target; empty for a study of one target."""
        return fronts_by_target(self.source, self.summary)

    @cached_property
    def rank_correlations(self) -> Sequence[RankCorrelation]:
        """Rank correlation of latency for each pair of targets."""
        return rank_correlations(self.source, self.summary)

    @cached_property
    def rung_correlations(self) -> Sequence[RungCorrelation]:
        """How well scores after few epochs rank complete trials."""
        return rung_correlations(self.source, self.summary)

    @cached_property
    def prediction_errors(self) -> Sequence[PredictionError]:
        """Error of the latencies that the strategy predicted, for each target with predictions."""
        return prediction_errors(predicted_latencies(self.source, self.name))

    @cached_property
    def group(self) -> Sequence[StudyRow]:
        """The study and the searches and baselines that it is compared with, oldest first."""
        return compared_studies(self.source, self.row)

    @cached_property
    def histories(self) -> Sequence[History]:
        """History of each study of ``group``; all use the same box of hypervolume."""
        return histories_of(
            [
                self.points
                if row.name == self.name
                else points(self.source, row.name, columns=self.known_columns(row.name))
                for row in self.group
            ]
        )

    @property
    def history(self) -> History:
        """History of the study itself."""
        return next(run for run in self.histories if run.study == self.name)

    @property
    def hypervolume(self) -> float | None:
        """Final hypervolume of the study in the box of ``group``; None before its first complete trial."""
        return float(self.history.hypervolume[-1]) if len(self.history.numbers) else None

    @property
    def hypervolumes(self) -> dict[str, list[float]]:
        """Role → final hypervolume of each study of ``group`` with this role and a complete trial."""
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
        """Whether the study is a search without a baseline."""
        return self.row.role == "search" and not self.has_baseline

    @property
    def verdict(self) -> str:
        """One sentence that compares search and baseline; empty if there is nothing to compare."""
        return verdict(self.group, self.histories) if self.has_baseline else ""

    @cached_property
    def comparison(self) -> Comparison | None:
        """Comparison of found networks with random masks and dense parents; None if there is none."""
        return comparison(self.source, self.name)

    @cached_property
    def choice_results(self) -> ChoiceResults:
        """Choices and objectives of the complete trials."""
        return choice_results(study_choices(self.source, self.name), self.points, self.shares)

    @cached_property
    def choice_importances(self) -> Importances | None:
        """Importance of each choice for each objective; None with fewer than 20 complete trials, or without choices."""
        return choice_importances(self.choice_results)

    @cached_property
    def forests(self) -> Forests | None:
        """Random forests that predict objectives from choices; None with fewer than 20 trials, or without choices."""
        from trials.analysis.what_if import fit_forests  # here, because it imports scikit-learn

        return fit_forests(self.choice_results)

    @cached_property
    def spent(self) -> Spent:
        """How much of the budget is spent, and the time left."""
        return spent(self.source, self.summary)

    @cached_property
    def reasons(self) -> Sequence[Reason]:
        """Why trials ended early, failures first."""
        return grouped(ended_early(self.source, self.name))

    @cached_property
    def costs(self) -> Costs:
        """What the study has cost, and what it did not have to spend."""
        return study_costs(self.source, self.name)

    @cached_property
    def exports(self) -> Sequence[ExportInfo]:
        """Trials that were exported."""
        return exports(self.source, self.name)

    @cached_property
    def final_trainings(self) -> Mapping[int, Sequence[FinalTrainingInfo]]:
        """Number of each trial with a final training → its final trainings, oldest first."""
        return final_trainings(self.source, self.name)

    @cached_property
    def imported(self) -> Sequence[ImportedNetwork]:
        """Networks of the user beside the study, oldest first."""
        return imported_networks(self.source, self.name)

    def better_than(self, network: ImportedNetwork) -> list[int] | None:
        """Return the trials of the front that dominate a network; None if it lacks an objective."""
        return dominating(self.points.front(), network.metrics)

    @cached_property
    def rechecks(self) -> Sequence[Recheck]:
        """The front in other environments, oldest first."""
        return [Recheck.from_json(result) for result in rechecks(self.source, self.name)]

    @cached_property
    def remarks(self) -> Mapping[int, Remark]:
        """Number of each trial with a note or tags → these."""
        return remarks(self.source, self.name)

    @cached_property
    def measurements(self) -> Measurements:
        """The newest measurements of the study, without raw samples, and counts of their trust."""
        return measurements(self.source, self.name)

    @cached_property
    def trials(self) -> Sequence[Trial]:
        """Every trial with its choices, metrics and times."""
        return all_trials(self.source, self.name)

    def trial_table(self) -> list[dict[str, Any]]:
        """One row for each trial; see ``trials.reporting.trial_table``."""
        return trial_table(self.trials, self.shares, list(self.row.objectives))

    def columns(self, names: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.str_], Sequence[Floats]]:
        """Return numbers and states of all trials, and metrics with their intervals: see ``StudyColumns.read``."""
        with reading(self.source) as session:
            return self._columns.read(session, names)

    def listed(self, listing: Listing) -> NDArray[np.int64]:
        """Return the numbers of the trials that a listing selects, in its order.

        Raises:
            PlanError: the listing names an unknown metric or state, or its conditions can't be read.
        """
        return listed(self.source, self.name, listing, self.shares, self._columns)

    def rows(self, numbers: Sequence[int]) -> dict[int, CandidateRow]:
        """Return number → row of each trial that exists, in the order of ``numbers``."""
        page = candidates_page(self.source, self.name, limit=len(numbers), numbers=numbers)
        found = {row.number: row for row in page.rows}
        return {key: found[key] for key in numbers if key in found}

    def detail(self, number: int) -> CandidateDetail:
        """Return everything about one trial.

        Raises:
            UnknownNameError: the study has no trial of this number.
        """
        return candidate_detail(self.source, self.name, number)

    @cached_property
    def _columns(self) -> StudyColumns:
        return self.known_columns(self.name) or StudyColumns(self.name)


@contextmanager
def study_view(source: Source, name: str) -> Iterator[StudyView]:
    """Open a view of the study ``name``, which reads everything within one session; it is valid within the block.

    Raises:
        UnknownNameError: the study does not exist.
    """
    with reading(source) as session:
        view = StudyView(session, name)
        view.summary  # noqa: B018  (raises if the study does not exist)
        yield view
