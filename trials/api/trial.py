"""A trial of a stored study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trials.export.outputs import new_folder
from trials.plans.plan import make_plan
from trials.plans.problem import open_problem_json
from trials.reporting.labels import inline, number
from trials.store.read.candidate import CandidateDetail, candidate_detail
from trials.store.read.candidates import Value
from trials.store.read.final_trainings import FinalTrainingInfo
from trials.store.read.rows import study_row
from trials.store.read.studies import study_summary
from trials.store.records import Remark
from trials.store.store import Store
from trials.store.write.remarks import write_remark

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn


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

    def note(self, text: str | None = None, *, tags: Sequence[str] = (), untag: Sequence[str] = ()) -> Remark:
        """Change the note and the tags of the trial, and return both as they are then.

        Args:
            text: the new note; empty to remove it, None to leave it as it is.
            tags: tags to add.
            untag: tags to remove.

        Raises:
            PlanError: the note is too long, there are too many tags, or a tag can't be one.
        """
        return self._store.write(write_remark, self.study, self.number, note=text, add=tags, remove=untag)

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
        licence: str | None = None,
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
            licence: licence of the network for its model card, such as ``apache-2.0``.

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
            self._store,
            self.study,
            self.number,
            path,
            weights,
            further,
            preprocessed=with_preprocessing,
            licence=licence,
            force=force,
        )
