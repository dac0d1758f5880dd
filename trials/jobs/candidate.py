"""The jobs of one candidate. Each is a generator whose last value is the result.

A job depends only on its payload: running it twice gives the same network, and a training continues from its last
checkpoint.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from nas.errors import JobError
from nas.estimators import Epoch, Estimator
from nas.export import Artifact
from nas.export.checking.evaluate import deployed_outputs
from nas.export.seeding import seed_weights
from nas.export.weights import save_weights
from nas.latency.protocol.intervals import derive
from nas.latency.protocol.measure import REPORT, SCREEN, Latency
from nas.latency.protocol.pooling import pooled
from nas.latency.protocol.samples import Samples
from nas.latency.runtimes import answering
from nas.latency.targets import Target
from nas.proxies.scoring import Scores, score_network
from nas.scratch import Scratch
from nas.space import Architecture, Network
from nas.tasks import Split
from nas.tasks.intervals import score_intervals, wilson
from nas.tasks.per_class import as_json, confusion, recalls
from nas.tasks.scoring import scores_of
from trials.jobs.doubts import doubts
from trials.jobs.messages import (
    PREFIX,
    EpochEnd,
    FileResult,
    GatePayload,
    GateResult,
    LatencyResult,
    MeasureFilePayload,
    MeasurePayload,
    MeasureResult,
    MeasuringPayload,
    NetworkPayload,
    RemeasurePayload,
    RemeasureResult,
    RetrainResult,
    RungPayload,
    RungResult,
    ScoreResult,
    StageReached,
    TrainPayload,
    TrainResult,
    TwinPayload,
)
from trials.jobs.metrics import check_complete, percentile_intervals
from trials.jobs.target import measurer
from trials.plans.problem import Problem, fingerprint, open_problem_json
from trials.store.artifacts import ArtifactStore

#: Number of training images for the calibration of an int8 network.
CALIBRATION_IMAGES = 256
#: Number of training images on which a file without integers is compared with its network.
COMPARED_IMAGES = 16


def gate(payload: GatePayload) -> Iterator[StageReached | GateResult]:
    """Deploy a candidate with seeded weights and measure it, until it certainly exceeds ``reject_above_ms``.

    Zero-cost proxies score it before, with the initial weights of its training.
    """
    problem = open_problem_json(payload["plan"])
    network = build(problem, payload)
    scores = score_network(network, problem.task, payload["proxies"], payload["seed"])
    yield from _time_untrained(problem, network, payload, payload["identity"], scores)


def twin(payload: TwinPayload) -> Iterator[StageReached | GateResult]:
    """Deploy and measure the candidate's dense twin: the same choices of the space, in fp32, without policies."""
    problem = open_problem_json(payload["plan"])
    parent = problem.searched.dense_parent(Architecture.from_json(payload["architecture"]))
    network = problem.searched.dense().build(parent.architecture, payload["seed"])
    yield from _time_untrained(problem, network, payload, payload["twin"], Scores())


def _time_untrained(
    problem: Problem, network: Network, payload: GatePayload, seed_text: str, scores: Scores
) -> Iterator[StageReached | GateResult]:
    """Deploy a network with seeded weights, measure its latency, and count its static metrics."""
    seed_weights(network, problem.input_shape(), seed_text)
    network.finalize()
    with Scratch("nas-gate-") as folder:
        artifact = problem.exporter.export(
            network,
            Path(folder) / f"candidate{problem.exporter.suffix}",
            input_shape=problem.input_shape(),
            runtime=answering(payload["target"]["spec"]["runtime"]),
        )
        yield {"stage": "deployed"}
        is_known = artifact.structure_hash[:PREFIX] in payload["known"]
        latency = None if is_known else _measure(artifact.path, payload, payload["reject_above_ms"], payload["screen"])
        yield {
            "metrics": {"size_bytes": artifact.size_bytes, **problem.static_metrics(network), **scores.values},
            "unscored": scores.missing,
            "structure_hash": artifact.structure_hash,
            "latency": latency,
        }


def train(payload: TrainPayload) -> Iterator[EpochEnd | TrainResult]:
    """Train and deploy a candidate, and score the deployed file on the validation split in its runtime.

    An original whose weights are complete is not trained.

    The checkpoint is kept until the coordinator has committed the result, because this job may have to run again.
    """
    problem = open_problem_json(payload["plan"])
    yield from train_with(problem.estimator(), problem, payload)


def train_with(estimator: Estimator, problem: Problem, payload: TrainPayload) -> Iterator[EpochEnd | TrainResult]:
    """Train and deploy a candidate with an estimator, and score it; see ``train``."""
    check_data(problem, payload["data"])
    network = build(problem, payload)
    checkpoint = checkpoint_folder(payload)
    as_it_is = payload["original"] and problem.searched.space.trained(network.model)
    epochs = []
    for epoch in () if as_it_is else _training(estimator, problem, network, payload):
        epochs.append(epoch)
        yield {"epoch": epoch.epoch, "values": epoch.values}
    network.finalize()
    artifact = deploy(problem, network, checkpoint / f"candidate{problem.exporter.suffix}")
    found = scored(problem, artifact.path)
    weights = checkpoint / "weights.safetensors"
    save_weights(network.model, weights)
    matrix, classes = found.confusion, problem.task.class_names
    steps = estimator.num_steps(problem.task) if epochs else None  # None: the network was not trained
    uncovered = artifact.record.get("uncovered", ())
    yield {
        "metrics": {**found.metrics, "size_bytes": artifact.size_bytes, **problem.static_metrics(network)},
        "intervals": found.intervals,
        "confusion": None if matrix is None else as_json(classes, matrix),
        "doubts": doubts(epochs, steps, classes, matrix, starts_trained=problem.starts_trained, uncovered=uncovered),
        "structure_hash": artifact.structure_hash,
        "artifacts": [
            _put(payload, problem.exporter.format, artifact.path, _record(artifact, network)),
            _put(payload, "weights", weights, {}),
        ],
        "twin": payload["identity"] if as_it_is else problem.twin_identity(network.architecture),
    }


def rung(payload: RungPayload) -> Iterator[EpochEnd | RungResult]:
    """Train a candidate up to a rung, and return the scores of its last epoch on the validation split.

    The checkpoint keeps the state, from which a later job continues. The schedule is that of the whole training.
    """
    problem = open_problem_json(payload["plan"])
    check_data(problem, payload["data"])
    network = build(problem, payload)
    with closing(_training(problem.estimator(), problem, network, payload)) as training:
        for epoch in islice(training, payload["epochs"]):
            yield {"epoch": epoch.epoch, "values": epoch.values}
    scores = {metric.name: epoch.values[metric.name] for metric in problem.task.metrics}
    yield {"epochs": payload["epochs"], "scores": scores}


def retrain(payload: TrainPayload) -> Iterator[StageReached | RetrainResult]:
    """Train a candidate again with another seed, and score it; only its scores are kept."""
    problem = open_problem_json(payload["plan"])
    check_data(problem, payload["data"])
    network = build(problem, payload)
    for epoch in _training(problem.estimator(), problem, network, payload):
        yield {"stage": f"epoch {epoch.epoch}"}
    network.finalize()
    artifact = deploy(problem, network, checkpoint_folder(payload) / f"candidate{problem.exporter.suffix}")
    yield {"seed": payload["seed"], "scores": scored(problem, artifact.path).metrics}


def measure(payload: MeasurePayload) -> Iterator[MeasureResult]:
    """Measure the latency of a trained candidate's file."""
    yield {"structure_hash": payload["structure_hash"], "latency": measure_stored(payload)}


def remeasure(payload: RemeasurePayload) -> Iterator[RemeasureResult]:
    """Measure a trained candidate's file again, and pool the samples with those of earlier measurements."""
    latency = measure_stored(payload)
    parts = [(base64.b64decode(item["samples"]), item["reference_ms"]) for item in payload["earlier"]]
    parts.append((base64.b64decode(latency["samples"]), latency["conditions"]["reference_ms"]))
    samples, reference_ms = pooled([(Samples.from_bytes(blob), time_ms) for blob, time_ms in parts])
    found = derive(samples, reference_ms)
    yield {
        "structure_hash": payload["structure_hash"],
        "latency": latency,
        "pooled": {
            "latency_ms": found.latency_ms,
            "low_ms": found.low_ms,
            "high_ms": found.high_ms,
            "percentiles": percentile_intervals(samples, reference_ms),
        },
    }


def deploy(problem: Problem, network: Network, path: Path) -> Artifact:
    """Write the deployed file; training data are used to compare it with the network and to calibrate 8 bits."""
    calibration = calibration_of(problem, network)
    shape = problem.input_shape()
    return problem.exporter.export(network, path, input_shape=shape, calibration=calibration, runtime=problem.runtime)


def calibration_of(problem: Problem, network: Network) -> torch.Tensor:
    """Return the training inputs with which the file of a network is calibrated and compared."""
    has_integers = any(bits == 8 for bits in network.bits.values())
    return calibration_inputs(problem, CALIBRATION_IMAGES if has_integers else COMPARED_IMAGES)


def calibration_inputs(problem: Problem, limit: int) -> torch.Tensor:
    """Return at most ``limit`` training inputs, ``(M, C, H, W)``; they are equal at every call."""
    data = problem.task.dataset("train")
    count = len(data)  # type: ignore[arg-type]
    indices = random.Random(0).sample(range(count), min(limit, count))
    return torch.stack([data[index][0] for index in indices])


def build(problem: Problem, payload: NetworkPayload) -> Network:
    """Build the network of a payload with its initial weights."""
    return problem.searched.build(Architecture.from_json(payload["architecture"]), payload["seed"])


def score(payload: NetworkPayload) -> Iterator[ScoreResult]:
    """Deploy and score a network with its initial weights; only its scores are kept."""
    problem = open_problem_json(payload["plan"])
    network = build(problem, payload)
    network.finalize()
    with Scratch("nas-score-") as folder:
        artifact = deploy(problem, network, Path(folder) / f"candidate{problem.exporter.suffix}")
        yield {"metrics": scored(problem, artifact.path).metrics}


def check_data(problem: Problem, known: str | None) -> None:
    """Raise JobError if the worker's data differ from those that the study started with; None if those are unknown."""
    if known not in (None, fingerprint(problem.task)):
        raise JobError(
            "the data on this worker differ from those that the study started with; restore the original data, or copy "
            "the same data to every machine, then resume the study"
        )


def _training(estimator: Estimator, problem: Problem, network: Network, payload: TrainPayload) -> Generator[Epoch]:
    """Train a network, from its last checkpoint."""
    yield from estimator.fit(network, problem.task, seed=payload["seed"], checkpoint=checkpoint_folder(payload))


def checkpoint_folder(payload: TrainPayload) -> Path:
    """Return the folder of a training's state, which is made if it does not exist."""
    folder = Path(payload["checkpoint"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Scored(NamedTuple):
    """The scores of a file on one split."""

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    confusion: np.ndarray | None


def scored(problem: Problem, path: Path, split: Split = "validation", runtime: str | None = None) -> Scored:
    """Score a deployed file, with intervals; by default in the runtime that scores the study's candidates."""
    outputs, targets = deployed_outputs(path, problem.task.dataset(split), runtime=runtime or problem.runtime)
    task = problem.task
    scores = scores_of(task, outputs, targets)
    _check_finite(scores)
    intervals = score_intervals(task, outputs, targets, scores)
    matrix = confusion(outputs, targets, task.num_outputs) if task.class_metrics else None
    for name, (value, count) in recalls(task.class_names, matrix).items() if matrix is not None else ():
        scores[name], intervals[name] = value, wilson(value, count)
    return Scored(scores, intervals, matrix)


def measure_stored(payload: MeasureFilePayload) -> LatencyResult:
    """Measure a stored file on the payload's target."""
    with Scratch("nas-measure-") as folder:
        path = Path(folder) / "candidate"
        ArtifactStore(payload["artifacts"]).fetch(payload["uri"], payload["sha256"], path)
        return _measure(path, payload)


def _measure(
    path: Path, payload: MeasuringPayload, reject_above_ms: float | None = None, screen: bool = False
) -> LatencyResult:
    """Measure a file, and check that the result has every metric that the plan needs.

    Raises:
        JobError: the target did not report a needed metric.
    """
    target = Target.from_json(payload["target"])
    effort = SCREEN if screen else REPORT
    latency = measurer(target).measure(
        path,
        target,
        effort=effort.within(precision=payload["precision"], budget_s=payload["budget_s"]),
        reject_above_ms=reject_above_ms,
    )
    found = _latency_json(latency)
    check_complete(target.spec.name, found, payload["needed"])
    return found


def _latency_json(latency: Latency) -> LatencyResult:
    return {
        "latency_ms": latency.latency_ms,
        "low_ms": latency.low_ms,
        "high_ms": latency.high_ms,
        "peak_memory_bytes": latency.peak_memory_bytes,
        "rejected": latency.rejected,
        "conditions": dict(latency.conditions),
        "samples": base64.b64encode(latency.samples).decode(),
        "percentiles": percentile_intervals(Samples.from_bytes(latency.samples), latency.conditions["reference_ms"]),
    }


def _put(payload: TrainPayload, kind: str, path: Path, record: Mapping[str, Any]) -> FileResult:
    """Copy a file to the study's artifacts."""
    stored = ArtifactStore(payload["artifacts"]).put(path, payload["candidate"], kind)
    return {
        "kind": kind,
        "uri": stored.uri,
        "sha256": stored.sha256,
        "size_bytes": stored.size_bytes,
        "record": record,
    }


def _record(artifact: Artifact, network: Network) -> dict[str, Any]:
    """Return the record of a deployed file as JSON values."""
    return {
        "format": artifact.format,
        "route": artifact.route,
        "structure_hash": artifact.structure_hash,
        "input_shape": list(artifact.input_shape),
        "relative_error": artifact.relative_error,
        **artifact.record,
        "sites": network.describe(),
    }


def _check_finite(scores: Mapping[str, float]) -> None:
    for name, value in scores.items():
        if not np.isfinite(value):
            raise JobError(f"{name} of the deployed network is {value}; every metric of a candidate must be finite")
