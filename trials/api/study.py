"""A stored study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trials.export.outputs import output_folder
from trials.export.selection import Selection, select
from trials.launch import studies as launch
from trials.launch.cluster.ending import pause, stop
from trials.launch.progress_bar import ProgressBar
from trials.plans.plan import Plan, make_plan
from trials.plans.problem import open_problem_json
from trials.reporting.study import study_view
from trials.store.read.imported import ImportedNetwork
from trials.store.read.rows import study_row
from trials.store.read.studies import StudySummary, study_summary
from trials.store.records import Remark
from trials.store.store import Store
from trials.store.write.remarks import write_remark

if TYPE_CHECKING:
    import optuna
    import pandas as pd
    import plotly.graph_objects as go

    from nas.tasks import Task

from trials.api.doubts import warn_of_doubts
from trials.api.trial import Trial


class Study:
    """A stored study. Each method and property reads the database again."""

    def __init__(self, storage: str, name: str) -> None:
        self.storage = storage
        self.name = name
        self._store = Store(storage)
        self._store.read(study_row, name)  # raises now, not at the first use, if the study does not exist

    def __repr__(self) -> str:
        return f"<Study {self.summary.row.title}>"

    @property
    def summary(self) -> StudySummary:
        """State, counts, objectives, limits, environment and totals."""
        return study_summary(self._store, self.name)

    @property
    def state(self) -> str:
        """``preparing``, ``running``, ``interrupted``, ``paused``, ``complete``, ``exhausted`` or ``stopped``."""
        return self.summary.row.state

    @property
    def plan(self) -> Plan:
        """The plan of the study."""
        return make_plan(self.summary.plan)

    @cached_property
    def task(self) -> Task:
        """The study's task: its classes, its data sets of inputs and targets, its preprocessing."""
        return open_problem_json(self.plan.model_dump_json()).task

    def trials(self) -> pd.DataFrame:
        """Return a table with one row per trial, indexed by ``number``.

        Its columns are those of ``trials.reporting.trial_table``: state, metrics with the ends of their 95 %
        intervals (``latency_ms_low``, ``latency_ms_high``), choices (``choice.stem.width``), wall times in seconds
        (``train_s``, ``measure_s``) and the times at which the trial started and ended.
        """
        with study_view(self._store, self.name) as view:
            return _frame(view.trial_table())

    def front(self) -> pd.DataFrame:
        """Return the rows of ``trials`` that are Pareto-optimal, sorted by the last objective."""
        with study_view(self._store, self.name) as view:
            numbers = view.points.numbers[view.points.on_front]
            return _frame(view.trial_table()).loc[numbers].sort_values(list(view.summary.row.objectives)[-1])

    def plot_front(self) -> go.Figure:
        """Plot every trial on two objectives, or one objective by trial number: front with intervals, limits."""
        from trials.reporting.charts.front import front_figure

        with study_view(self._store, self.name) as view:
            return front_figure(view.points_on(view.axes), view.summary.limits, shares=view.shares)

    def trial(self, number: int) -> Trial:
        """Return the trial of this number.

        Raises:
            UnknownNameError: the study has no trial of this number.
        """
        return Trial(self._store, self.name, number)

    def best(self, *, by: str = "", where: str = "") -> Trial:
        """Return the best of the complete trials, which keep all limits.

        Args:
            by: an objective, or a cost such as ``size_bytes``; by default the first objective.
            where: further conditions, such as ``latency_ms<2 and size_bytes<1e6``.

        Raises:
            StudyError: no complete trial keeps the conditions.
            PlanError: a metric is unknown, or the conditions can't be read.
        """
        return self._selected(Selection(best=True, by=by, where=where))

    def knee(self, *, where: str = "") -> Trial:
        """Return the knee of the front, its best compromise: the trial with the smallest sum of scaled objectives.

        Args:
            where: conditions; the front is that of the trials that keep them.

        Raises:
            StudyError: no complete trial keeps the conditions.
            PlanError: a metric is unknown, or the conditions can't be read.
        """
        return self._selected(Selection(knee=True, where=where))

    def _selected(self, selection: Selection) -> Trial:
        return self.trial(select(self._store, self.name, selection)[0])

    def resume(self, *, address: str | None = None, progress: bool = True) -> None:
        """Continue an interrupted study.

        Raises:
            StudyError: the study is finished, or another process runs it.
        """
        with ProgressBar(progress) as bar:
            launch.resume(self.storage, self.name, address=address, on_update=bar.update, on_phase=bar.prepare)
        warn_of_doubts(self.storage, self.name)

    def pause(self) -> None:
        """End the process that runs the study, so that its workers are free for others; ``resume`` continues it.

        Raises:
            StudyError: no process runs the study, or it did not react.
        """
        pause(self._store, self.name)

    def stop(self) -> None:
        """End the study with the results it has; trials under way are recorded as stopped.

        Raises:
            StudyError: the study has ended, or the process that runs it did not react.
        """
        stop(self._store, self.name)

    def extend(
        self, *overrides: str, trials: int | None = None, address: str | None = None, progress: bool = True
    ) -> None:
        """Change a finished or interrupted study so that it has more work, and run it.

        Args:
            overrides: ``key=value`` under budget, confidence or limits; ``key=+10`` adds 10 to the present value. A
                limit can only become tighter: candidates that were rejected under the old limit are not trained again.
            trials: number of additional trials.
            address: address of a Ray cluster.
            progress: draw a progress bar.

        Raises:
            PlanError: a key can't be changed, or a value is not allowed.
            StudyError: the changes add no work, or another process runs the study.
        """
        changes = [*overrides, *([] if trials is None else [f"budget.trials=+{trials}"])]
        with ProgressBar(progress) as bar:
            launch.extend(self.storage, self.name, changes, address=address, on_update=bar.update, on_phase=bar.prepare)
        warn_of_doubts(self.storage, self.name)

    def enqueue(self, choices: Mapping[str, Any]) -> None:
        """Add a candidate of your own, which the study proposes before all others and trains if it is feasible.

        A running study proposes it within seconds; otherwise ``resume`` or, if the budget is used up, ``extend``.

        Args:
            choices: name of a choice → one of its options; choices without an answer get a random one.

        Raises:
            PlanError: there is no such choice or option, or the strategy of the study proposes only a list.
        """
        from trials.launch.enqueueing import enqueue

        enqueue(self._store, self.name, choices)

    def note(self, text: str | None = None, *, tags: Sequence[str] = (), untag: Sequence[str] = ()) -> Remark:
        """Change the note and the tags of the study, and return both as they are then.

        Args:
            text: the new note; empty to remove it, None to leave it as it is.
            tags: tags to add.
            untag: tags to remove.

        Raises:
            PlanError: the note is too long, there are too many tags, or a tag can't be one.
        """
        return self._store.write(write_remark, self.name, note=text, add=tags, remove=untag)

    def import_network(
        self,
        model: str | Path,
        *,
        name: str | None = None,
        weights: str | Path | None = None,
        force: bool = False,
        address: str | None = None,
    ) -> ImportedNetwork:
        """Score and measure a network of your own like the trials of the study, to compare the front with it.

        Args:
            model: path of an ONNX file, ``module:factory`` or ``timm:name``.
            name: name of the network; by default that of its file, function or model.
            weights: safetensors file with the weights of a module or a model of timm.
            force: replace an imported network of this name.
            address: address of a Ray cluster.

        Returns:
            The stored network: ``metrics``, ``test_scores``, and ``notes`` about what was left out.

        Raises:
            PlanError, UnknownNameError, SpaceError: the network can't be read or made, or does not fit the task.
            StudyError: the name is taken, or the data of the study have changed.
            JobError: the network can't be run or measured.
            PlaceError: a target is not as it was calibrated, or its device does not answer.
        """
        from trials.launch.importing import import_network

        file = None if weights is None else str(weights)
        return import_network(self._store, self.name, str(model), name=name, weights=file, force=force, address=address)

    def imported(self) -> pd.DataFrame:
        """Return a table with one row per imported network, indexed by ``name``: metrics with intervals, test scores.

        ``dominated_by`` lists the trials of the front that are at least as good in every objective and better in one.
        """
        import pandas as pd

        with study_view(self._store, self.name) as view:
            rows = []
            for item in view.imported:
                row: dict[str, Any] = {"name": item.name, "dominated_by": view.better_than(item)}
                for metric, value in item.metrics.items():
                    row |= {metric: value.value, f"{metric}_low": value.low, f"{metric}_high": value.high}
                row |= {f"test_{metric}": value.value for metric, value in item.test_scores.items()}
                rows.append(row)
        return pd.DataFrame(rows).set_index("name") if rows else pd.DataFrame(rows)

    def report(self, folder: str | Path) -> Path:
        """Write ``report.html`` into a folder and return its path; the page needs no other files."""
        from trials.reporting.report.page import write_report

        return write_report(self._store, self.name, output_folder(Path(folder)))

    def optuna(self) -> optuna.Study:
        """Return the study as an in-memory Optuna study, for Optuna's plots and importances."""
        from trials.analysis.optuna_view import optuna_study

        return optuna_study(self.storage, self.name)

    def delete(self) -> None:
        """Remove the study with all its files.

        Raises:
            StudyError: another process runs the study.
        """
        from trials.launch.retention import delete

        delete(self._store, self.name)


def _frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows).set_index("number") if rows else pd.DataFrame(rows)
