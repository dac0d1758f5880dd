"""The Python interface of ``measured_nas``: run studies, open them, export networks.

Each function calls the modules that the command line uses, too.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.errors import MeasureError
from trials.export.outputs import new_folder, output_folder
from trials.export.selection import Selection, select
from trials.launch import studies as launch
from trials.launch.progress_bar import ProgressBar
from trials.plans import loading
from trials.plans.plan import Plan, make_plan
from trials.plans.problem import open_problem_json
from trials.reporting.labels import inline, number
from trials.reporting.study import study_view
from trials.store.read.candidate import CandidateDetail, candidate_detail
from trials.store.read.candidates import Value
from trials.store.read.doubts import study_doubts
from trials.store.read.final_trainings import FinalTrainingInfo
from trials.store.read.imported import ImportedNetwork
from trials.store.read.rows import study_row
from trials.store.read.studies import StudySummary, study_summary
from trials.store.read.studies import list_studies as study_rows
from trials.store.store import Store

if TYPE_CHECKING:
    import optuna
    import pandas as pd
    import plotly.graph_objects as go
    from torch import nn

    from nas.latency.protocol.measure import Latency
    from nas.tasks import Task
    from trials.launch.forecast import Forecast

DEFAULT_STORAGE = "sqlite:///nas.db"


def load_plan(path: str | Path, overrides: Sequence[str] = ()) -> Plan:
    """Read a plan file.

    Args:
        path: YAML file.
        overrides: ``key=value`` as on the command line: ``["budget.trials=10"]``.

    Raises:
        PlanError: the file does not exist, a key is unknown, or a value is not allowed.
    """
    return loading.load_plan(Path(path), overrides)


def search(
    plan: Plan,
    *,
    storage: str = DEFAULT_STORAGE,
    name: str | None = None,
    baseline: str | None = None,
    twins: bool = False,
    address: str | None = None,
    progress: bool = True,
) -> Study:
    """Run a study to the end of its budget. Each result is stored as soon as it is known.

    After an interrupt (Ctrl-C, or stopping the cell) ``open_study(...).resume()`` continues the study.

    Args:
        plan: description of the study; see ``load_plan`` and ``Plan``.
        storage: URL of the database, ``sqlite:///nas.db`` or ``postgresql://user@host/name``.
        name: name of the study; by default the name in the plan.
        baseline: strategy of a second study with equal budget to compare with, usually ``random``.
        twins: afterwards also train the best networks dense, and under random masks of equal density.
        address: address of a Ray cluster; by default everything runs on this machine.
        progress: draw a progress bar.

    Raises:
        PlanError: the plan can't be run; nothing is stored.
        StudyError: a study of this name exists.
        AllFailedError: no trial succeeded; the study is stored with its tracebacks.
    """
    with ProgressBar(progress) as bar:
        names = launch.search(
            plan,
            storage=storage,
            name=name,
            baseline=baseline,
            twins=twins,
            address=address,
            on_update=bar.update,
            on_phase=bar.prepare,
        )
    for each in names:
        _warn(storage, each)
    return Study(storage, names[0])


def validate(plan: Plan) -> Forecast:
    """Check a plan and its data, and measure what a study would cost; takes about a minute and stores nothing.

    Returns:
        The size of the space, typical networks with their latencies, the data, and hours and megabytes of the study.

    Raises:
        NasError: the plan can't be run, or its limits can't be met.
    """
    from trials.launch.forecast import forecast

    return forecast(plan)


def open_study(storage: str, name: str) -> Study:
    """Open a stored study, which may still be running.

    Raises:
        UnknownNameError: no study has this name; the message suggests the most similar name.
        StoreError: the database can't be opened.
    """
    return Study(storage, name)


def list_studies(storage: str = DEFAULT_STORAGE) -> list[str]:
    """Return the names of the stored studies, newest first.

    Raises:
        StoreError: the database can't be opened.
    """
    return [row.name for row in study_rows(Store(storage))]


def measure(model: str | Path, *, runtime: str = "onnxruntime", threads: int = 1, batch: int = 1) -> Latency:
    """Measure the latency of a model file on this machine, with the measuring protocol of studies.

    Args:
        model: an ONNX file or, for OpenVINO runtimes, an ``.xml`` file; this project need not have written it.
        runtime: a name, or ``name,parameter=value,…`` as in ``torch,compile=true``.
        threads: number of threads that the runtime uses.
        batch: batch size, used if the model's batch dimension is symbolic.

    Returns:
        ``latency_ms`` and its 95 % interval ``low_ms`` to ``high_ms``.

    Raises:
        MeasureError: the file or the runtime does not exist, or the runtime can't run the file.
        PlanError: a parameter of the runtime has no value.
    """
    from trials.targets.side_by_side import side_by_side, specs_of

    (found,) = side_by_side(Path(model), specs_of([runtime], threads=threads, batch=batch))
    if found.latency is None:
        raise MeasureError(found.error)
    return found.latency


class StudyWarning(UserWarning):
    """Results of a study that should not be trusted yet, for example because trainings were too short."""


def _warn(storage: str, name: str) -> None:
    for doubt in study_doubts(Store(storage), name):
        warnings.warn(f"study {name}: {doubt}", StudyWarning, stacklevel=3)


def _frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows).set_index("number") if rows else pd.DataFrame(rows)


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
        """``preparing``, ``running``, ``interrupted``, ``complete`` or ``exhausted``."""
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
        _warn(self.storage, self.name)

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
        _warn(self.storage, self.name)

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


class Trial:
    """One trial of a study: the evaluation of one candidate. It is read from the database once, on creation."""

    def __init__(self, store: Store, study: str, number: int) -> None:
        self.study = study
        self.number = number
        self._store = store
        self.detail: CandidateDetail = candidate_detail(store, study, number)

    def __repr__(self) -> str:
        objectives = study_summary(self._store, self.study).row.objectives
        found = [(name, self.metrics[name].value) for name in objectives if name in self.metrics]
        values = [f"{inline(name)} {number(name, value)}" for name, value in found]
        return f"<Trial {self.number} of {self.study!r}: {'; '.join([self.state, *values])}>"

    @property
    def state(self) -> str:
        """``queued``, ``running``, ``measured_only``, ``complete``, ``infeasible``, ``stopped`` or ``failed``."""
        return self.detail.row.state

    @property
    def reason(self) -> str | None:
        """Why the trial is infeasible, was not trained, was stopped or failed; None otherwise."""
        return self.detail.row.reason

    @property
    def traceback(self) -> str | None:
        """The Python traceback of a failed trial; None otherwise."""
        return self.detail.traceback

    @property
    def metrics(self) -> Mapping[str, Value]:
        """Metric → ``value`` with the ends ``low`` and ``high`` of its 95 % interval; None for a value without one."""
        return self.detail.row.metrics

    @property
    def choices(self) -> Mapping[str, Any]:
        """Name of each choice of the space and its policies → the chosen option."""
        found: Mapping[str, Any] = self.detail.definition["choices"]
        return found

    @property
    def beware(self) -> tuple[str, ...]:
        """Reasons not to trust its scores or its comparison with the dense network."""
        return self.detail.row.flags

    @cached_property
    def layers(self) -> pd.DataFrame:
        """One row per layer: name, op, output shape, parameters, MACs, bits."""
        import pandas as pd

        return pd.DataFrame(self.detail.layers)

    def load_module(self, weights: str = "best") -> nn.Module:
        """Load the trained network in torch, in evaluation mode: ``(N, C, H, W)`` float32 → the task's outputs.

        Args:
            weights: ``search``, ``final``, or ``best``, the one that scores better on the validation split.

        Raises:
            StudyError: the trial was not trained.
            ExportError: the weights were not kept. By default only the weights of front trials are kept;
                ``artifacts.retention: all`` in the plan keeps the weights of every trial.
        """
        from trials.export.weights import choose_weights
        from trials.jobs.teachers import trained_network

        plan = make_plan(self._store.read(study_row, self.study).plan)
        problem = open_problem_json(plan.model_dump_json())
        choice = choose_weights(self.detail, problem.task, weights)
        return trained_network(problem, self.detail.definition, choice.uri, choice.sha256).model.eval()

    def train(
        self,
        *overrides: str,
        teacher: str | None = None,
        workers: int | None = None,
        address: str | None = None,
        on_step: Callable[[int, str], None] = lambda number, text: None,
    ) -> FinalTrainingInfo:
        """Give the network a long training, by ``final_training`` of the plan; scores of the search stay as they are.

        After an interrupt, the same call continues the training, and ends at the same weights.

        Args:
            overrides: ``key=value`` for keys under ``final_training``, as in ``"epochs=100"``.
            teacher: network to learn from: ``dense``, ``trial:N`` or ``timm:MODEL,weights=FILE``.
            workers: number of processes that train the network together.
            address: address of a Ray cluster.
            on_step: called with the number of the trial and a text after each epoch.

        Raises:
            PlanError: the recipe is wrong, or the teacher does not fit the task.
            StudyError: the trial has failed or is not finished, or the data have changed.
            JobError: the training failed; the database has its traceback.
        """
        from trials.launch.training.final import train_finally

        given = {"teacher": teacher, "workers": workers}
        changes = [*overrides, *(f"{key}={value}" for key, value in given.items() if value is not None)]
        found = train_finally(self._store, self.study, [self.number], changes, address=address, on_step=on_step)
        self.detail = candidate_detail(self._store, self.study, self.number)
        return found[self.number]

    def export(
        self,
        folder: str | Path,
        *,
        force: bool = False,
        weights: str = "best",
        formats: Sequence[str] = (),
        opset: int | None = None,
        dynamic_batch: bool = False,
        format_pythons: Mapping[str, str] | None = None,
        with_preprocessing: bool = False,
    ) -> dict[str, Any]:
        """Write the measured file of the network and ``run.py`` into a folder; score and measure the network again.

        Args:
            folder: folder to write; it must be empty or not exist.
            force: replace a folder that an earlier export wrote, as a whole.
            weights: ``search``, ``final``, or ``best``, the one that scores better on the validation split.
            formats: formats to write besides the measured file, such as ``["torch", "openvino"]``.
            opset: ONNX opset of the file of the format ``onnx``; by default that of the measured file.
            dynamic_batch: the files of ``formats`` take any number of inputs at once.
            format_pythons: name of a format with an environment of its own → the Python of the environment.
            with_preprocessing: also write an ONNX file that takes 8-bit pixels and normalizes them.

        Returns:
            Scores and latencies, both as recorded and as found by this export. ``verification`` is ``fail`` if the
            folder differs from what was recorded; the file ``UNVERIFIED`` in it has the reasons.

        Raises:
            StudyError: the trial was not trained, or the study's data have changed.
            ExportError: the network can't be rebuilt or written.
            PlanError: the folder is not empty or can't be written.
            UnknownNameError, MissingPackageError: a format does not exist, or needs a package that is not installed.
        """
        from trials.export.candidate import export_candidate
        from trials.export.formats import Formats

        further = Formats.of(list(formats), opset=opset, dynamic_batch=dynamic_batch, pythons=format_pythons)
        path = new_folder(Path(folder), force=force)
        return export_candidate(
            self._store, self.study, self.number, path, weights, further, preprocessed=with_preprocessing
        )
