"""Networks that teach others: trained candidates of the study, models of timm, and dense twins."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from nas.errors import JobError
from nas.estimators.data_parallel import Workers
from nas.estimators.timm_teacher import timm_teacher
from nas.export.weights import load_weights
from nas.scratch import Scratch
from nas.space import Architecture, Network
from trials.jobs.candidate import checkpoint_folder
from trials.jobs.messages import FinalTrainingPayload, StageReached, TeacherPayload
from trials.plans.final_training import FinalTraining
from trials.plans.problem import Problem
from trials.plans.teachers import TeacherSpec
from trials.store.artifacts import ArtifactStore, file_sha256


def trained_network(problem: Problem, definition: Mapping[str, Any], uri: str, sha256: str) -> Network:
    """Build the network of an architecture, and load weights that were stored after a training.

    Raises:
        StoreError: the file is missing, can't be reached, or was changed.
        ExportError: the weights are those of another network.
    """
    network = problem.searched.build(Architecture.from_json(definition), problem.plan.seed)
    network.finalize()  # the weights were stored after finalizing
    with Scratch("nas-weights-") as folder:
        path = Path(folder) / "weights.safetensors"
        ArtifactStore("").fetch(uri, sha256, path)
        load_weights(network.model, path)
    return network


def known_teacher(problem: Problem, teacher: TeacherPayload) -> nn.Module:
    """Load a teacher that was trained before, in evaluation mode.

    Raises:
        PlanError: the model of timm does not fit the task.
        JobError: the file of the model's weights was changed since the training began.
        StoreError: the weights of the trial can't be read.
    """
    spec = TeacherSpec.parse(teacher["teacher"])
    if spec.model is None:
        assert teacher["architecture"] is not None
        assert teacher["uri"] is not None
        network = trained_network(problem, teacher["architecture"], teacher["uri"], str(teacher["sha256"]))
        return network.model.eval()
    path = Path(str(spec.weights))
    model = timm_teacher(spec.model, path, problem.task)
    if file_sha256(path) != teacher["sha256"]:
        raise JobError(f"{path} is not the file with which this training began; give the same command again")
    return model


def trained_dense_twin(
    problem: Problem, payload: FinalTrainingPayload, recipe: FinalTraining, workers: Workers | None
) -> Generator[StageReached, None, tuple[nn.Module, str]]:
    """Train the dense twin of a candidate by the same recipe, without a teacher; return it and its identity."""
    parent = problem.searched.dense_parent(Architecture.from_json(payload["architecture"]))
    network = problem.searched.dense().build(parent.architecture, payload["seed"])
    folder = checkpoint_folder(payload) / "teacher"
    folder.mkdir(exist_ok=True)
    estimator = replace(recipe, teacher=None).estimator(workers)
    for epoch in estimator.fit(network, problem.task, seed=payload["seed"], checkpoint=folder):
        yield {"stage": f"epoch {epoch.epoch} of the teacher"}
    return network.model.eval(), "dense"
