"""Check the teacher of final trainings before they begin."""

from __future__ import annotations

from pathlib import Path

import torch

from nas.errors import PlanError, StudyError
from trials.jobs.messages import TeacherPayload
from trials.jobs.teachers import known_teacher
from trials.plans.problem import Problem
from trials.plans.teachers import TeacherSpec
from trials.store.artifacts import file_sha256
from trials.store.read.candidate import candidate_detail
from trials.store.store import Store


def teacher_payload(store: Store, name: str, problem: Problem, teacher: str | None) -> TeacherPayload | None:
    """Load a teacher once, run it on one batch, and return what a job needs to load it again.

    Raises:
        UnknownNameError: the study has no trial of this number.
        StudyError: the trial has no trained weights, or they were not kept.
        PlanError: a file is missing, or the network does not fit the task.
    """
    if teacher is None:
        return None
    spec = TeacherSpec.parse(teacher)
    if spec == TeacherSpec():
        return {"teacher": teacher, "architecture": None, "uri": None, "sha256": None}
    found = _trial(store, name, teacher, spec.trial) if spec.trial is not None else _model(teacher, spec)
    _check_outputs(problem, found)
    return found


def _trial(store: Store, name: str, teacher: str, number: int) -> TeacherPayload:
    detail = candidate_detail(store, name, number)
    weights = next((item for item in detail.artifacts if item.kind == "weights"), None)
    if weights is None:
        raise StudyError(
            f"teacher: trial {number} of {name!r} is {detail.row.state} and has no trained weights; choose a trial "
            "that was trained"
        )
    if weights.deleted_at is not None:
        raise StudyError(
            f"teacher: the weights of trial {number} were not kept, because artifacts.retention does not keep them; "
            "choose a trial of the front"
        )
    return {
        "teacher": teacher,
        "architecture": detail.definition,
        "uri": weights.uri,
        "sha256": weights.sha256,
    }


def _model(teacher: str, spec: TeacherSpec) -> TeacherPayload:
    path = Path(str(spec.weights))
    if not path.is_file():
        raise PlanError(f"teacher: there is no file {path}; give a safetensors file with the model's weights")
    return {"teacher": teacher, "architecture": None, "uri": None, "sha256": file_sha256(path)}


def _check_outputs(problem: Problem, teacher: TeacherPayload) -> None:
    """Raise PlanError if the teacher can't run, or its outputs do not have the shape of the task's."""
    inputs = torch.zeros(2, *problem.task.input_shape)
    try:
        with torch.no_grad():
            shape = tuple(known_teacher(problem, teacher)(inputs).shape)
    except RuntimeError as error:
        raise PlanError(
            f"teacher: {teacher['teacher']} can't run on inputs {tuple(inputs.shape)}: {str(error).splitlines()[0]}"
        ) from None
    if shape[:2] != (2, problem.task.num_outputs):
        raise PlanError(
            f"teacher: {teacher['teacher']} returns {shape} for two inputs; the task has {problem.task.num_outputs} "
            "outputs"
        )
