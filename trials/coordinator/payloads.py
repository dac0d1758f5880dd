"""Build the payloads of a candidate's jobs."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, cast

from nas.seeds import generator_seed
from trials.coordinator.assignment import Assignment
from trials.coordinator.pipeline import OpenTrial, Step, epochs_of, kind_of, reject_above, twin_of
from trials.jobs.messages import (
    CandidatePayload,
    EarlierSamples,
    GatePayload,
    MeasurePayload,
    MeasuringPayload,
    RemeasurePayload,
    RungPayload,
    TrainPayload,
    TwinPayload,
)
from trials.jobs.metrics import needed_metrics
from trials.store.read.measured import earlier_samples
from trials.store.store import Reading


def payload_of(
    store: Reading, given: Assignment, trial: OpenTrial, step: Step, known: Sequence[str]
) -> Mapping[str, Any]:
    """Return the payload of a step's job.

    Args:
        store: store with earlier samples of the candidate.
        given: assignment of the study.
        trial: trial of the candidate.
        step: kind and target of the job.
        known: prefixes of the hashes of structures that have a stored latency on the target.
    """
    return cast(Mapping[str, Any], _payload_of(store, given, trial, step, known))


def checkpoint_folder(given: Assignment, trial: OpenTrial, step: Step) -> str:
    """Return the folder where a training keeps its state until its result is committed."""
    folder = f"{given.checkpoints}/{trial.number}"
    return folder if kind_of(step) in ("train", "rung") else f"{folder}-{step[0]}"


def _payload_of(
    store: Reading, given: Assignment, trial: OpenTrial, step: Step, known: Sequence[str]
) -> GatePayload | RungPayload | TrainPayload | MeasurePayload:
    kind, target = kind_of(step), step[1]
    if kind == "gate":
        return _gate(given, trial, target, known)
    if kind == "twin":
        return _twin(given, trial, target, known)
    if kind == "train":
        return _train(given, trial, step, given.problem.plan.seed)
    if kind == "rung":
        return {**_train(given, trial, step, given.problem.plan.seed), "epochs": epochs_of(step)}
    if kind == "retrain":
        return _train(given, trial, step, generator_seed(step[0], given.problem.plan.seed, trial.identity))
    if kind == "remeasure":
        return _remeasure(store, given, trial, target)
    return _measure(given, trial, target)


def _gate(given: Assignment, trial: OpenTrial, target: str, known: Sequence[str]) -> GatePayload:
    """Return the payload of a gate; the original is always measured completely, because others are compared with it."""
    return {
        **_candidate(given, trial),
        **_measuring(given, target),
        "known": [] if trial.original else list(known),
        "reject_above_ms": None if trial.original else reject_above(given.problem, given.limits, target),
        "screen": False,
        "proxies": list(given.problem.proxies) if target == given.problem.plan.targets[0].name else [],
    }


def _twin(given: Assignment, trial: OpenTrial, target: str, known: Sequence[str]) -> TwinPayload:
    gate = _gate(given, trial, target, known)
    return {**gate, "known": list(known), "reject_above_ms": None, "proxies": [], "twin": twin_of(trial)}


def _train(given: Assignment, trial: OpenTrial, step: Step, seed: int) -> TrainPayload:
    return {
        **_candidate(given, trial),
        "seed": seed,
        "original": trial.original,
        "artifacts": given.artifacts,
        "data": given.data,
        "checkpoint": checkpoint_folder(given, trial, step),
    }


def _measure(given: Assignment, trial: OpenTrial, target: str) -> MeasurePayload:
    trained = trial.trained
    file = next(item for item in trained["artifacts"] if item["kind"] == given.problem.exporter.format)
    return {
        **_candidate(given, trial),
        **_measuring(given, target),
        "artifacts": given.artifacts,
        "uri": file["uri"],
        "sha256": file["sha256"],
        "structure_hash": trained["structure_hash"],
    }


def _remeasure(store: Reading, given: Assignment, trial: OpenTrial, target: str) -> RemeasurePayload:
    measure = _measure(given, trial, target)
    earlier: list[EarlierSamples] = [
        {"samples": base64.b64encode(item.samples).decode(), "reference_ms": item.reference_ms}
        for item in store.read(earlier_samples, trial.candidate_id, target, measure["structure_hash"])
    ]
    return {**measure, "earlier": earlier}


def _candidate(given: Assignment, trial: OpenTrial) -> CandidatePayload:
    return {
        "plan": given.plan,
        "architecture": trial.architecture,
        "seed": given.problem.plan.seed,
        "candidate": trial.number,
        "identity": trial.identity,
    }


def _measuring(given: Assignment, target: str) -> MeasuringPayload:
    measure = given.problem.plan.measure
    return {
        "target": given.targets[target],
        "precision": measure.precision,
        "budget_s": measure.budget_s,
        "needed": needed_metrics(given.problem, target),
    }
