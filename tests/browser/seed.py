"""A database as studies leave it: a search with a replicate, their random twins, one running, one empty.

Everything is written through the tables' models; the numbers are drawn from a seed.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from nas.latency.protocol.samples import Samples, Visit, burst_array
from nas.tasks.intervals import wilson
from trials.store.models import (
    Architecture,
    ArtifactRow,
    Candidate,
    EpochRow,
    FinalEpochRow,
    FinalTrainingRow,
    JobRow,
    Measurement,
    Metric,
    Study,
    Target,
)

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
LIMIT_MS = 0.5
REFERENCE_MS = 0.41
TRACEBACK = """Traceback (most recent call last):
  File "nas/estimators/training.py", line 120, in fit
    raise JobError(f"loss is {loss} in epoch {epoch}, step {step}")
nas.errors.JobError: loss is nan in epoch 2, step 31
"""


@dataclass(frozen=True)
class Kind:
    """How the candidates of one study turn out."""

    name: str
    role: str
    seed: int
    state: str
    num_candidates: int
    #: How fast the search learns; 0 for random.
    skill: float


KINDS = (
    Kind("digits", "search", 0, "complete", 30, 1.0),
    Kind("digits-1", "search", 1, "complete", 30, 0.9),
    Kind("digits-random", "baseline", 0, "complete", 30, 0.0),
    Kind("digits-random-1", "baseline", 1, "complete", 30, 0.0),
)


def seed_database(engine: Engine) -> None:
    """Write the group ``digits`` (4 studies of 30 candidates), ``live`` (running) and ``fresh`` (empty)."""
    with Session(engine) as session:
        target = Target(
            name="local",
            description={"runtime": "onnxruntime", "threads": 1, "batch": 1, "processor": "a processor"},
            references={"0": 0.05, "1": REFERENCE_MS, "2": 1.7},
            created_at=START,
        )
        session.add(target)
        session.flush()
        for place, kind in enumerate(KINDS):
            seed_study(session, target, kind, group="digits", created_at=START + timedelta(minutes=place))
        live = Kind("live", "search", 3, "running", 9, 0.5)
        seed_study(session, target, live, group="live", created_at=START + timedelta(hours=1))
        fresh = Kind("fresh", "search", 4, "interrupted", 0, 0.5)
        seed_study(session, target, fresh, group="fresh", created_at=START + timedelta(hours=2))
        session.commit()


def seed_study(session: Session, target: Target, kind: Kind, *, group: str, created_at: datetime) -> Study:
    """One study with its candidates."""
    study = Study(
        name=kind.name,
        group=group,
        role=kind.role,
        state=kind.state,
        plan={
            "version": 1,
            "name": group,
            "task": {"name": "digits", "image_size": 16},
            "space": {"name": "plain_convnet", "preset": "small"},
            "policies": [{"name": "precision", "scope": "network"}],
            "objectives": {"accuracy": "maximize", "latency_ms": "minimize"},
            "limits": {"latency_ms": {"max": {"relative_to": "median", "factor": 1.0}, "min": None}},
            "strategy": {"name": "random" if kind.role == "baseline" else "nsga2"},
            "targets": [{"name": "local", "runtime": "onnxruntime", "threads": 1, "batch": 1}],
            "budget": {"trials": 30},
            "seed": kind.seed,
        },
        limits={"latency_ms": {"max": LIMIT_MS, "min": None}},
        objectives={"accuracy": "maximize", "latency_ms": "minimize"},
        environment={
            "python": "3.11.2",
            "torch": "2.13.0",
            "host": "workstation",
            "processor": "a processor",
        },
        seed=kind.seed,
        created_at=created_at,
        finished_at=None if kind.state == "running" else created_at + timedelta(minutes=5),
        totals={"wall_s": 262.0, "train_s": 188.0, "trained": 21},
        lease_epoch=1,
    )
    session.add(study)
    session.flush()
    draw = random.Random(f"{kind.name}{kind.seed}")
    for number in range(kind.num_candidates):
        _seed_candidate(session, study, target, kind, number, draw)
    return study


def _seed_candidate(
    session: Session, study: Study, target: Target, kind: Kind, number: int, draw: random.Random
) -> None:
    progress = kind.skill * number / 30
    width = draw.choice([4, 6, 8, 12, 16, 22, 30, 44][: 8 - round(2 * progress)])
    latency = (0.05 + 0.019 * width) * draw.uniform(0.85, 1.25) * (1 - 0.25 * progress)
    accuracy = 0.985 - 0.4 / width - draw.uniform(0, 0.03) * (1.1 - progress)
    candidate = Candidate(
        study_id=study.id,
        number=number,
        architecture=_architecture(study, number, width),
        state=_state(kind, number, latency),
        created_at=study.created_at + timedelta(seconds=8 * number),
    )
    session.add(candidate)
    session.flush()
    if candidate.state == "queued":
        session.add(JobRow(candidate_id=candidate.id, kind="gate", target="local", state="queued"))
        return
    candidate.finished_at = None if candidate.state == "running" else candidate.created_at + timedelta(seconds=9)
    _measured(session, candidate, target, latency, draw)
    if candidate.state == "infeasible":
        candidate.reason = f"latency_ms {latency:.4g} is over the limit {LIMIT_MS}"
        if number % 4:
            return
    _trained(session, candidate, accuracy, draw)


def _state(kind: Kind, number: int, latency: float) -> str:
    if kind.state == "running" and number >= kind.num_candidates - 2:
        return "queued" if number == kind.num_candidates - 1 else "running"
    if number == 11:
        return "failed"
    return "infeasible" if latency * 0.97 > LIMIT_MS else "complete"


def _architecture(study: Study, number: int, width: int) -> Architecture:
    shapes = [(width, 16, 16), (2 * width, 8, 8), (2 * width, 4, 4)]
    inputs = [1, width, 2 * width]
    layers = [
        {
            "name": f"stage{place}.conv",
            "op": "conv3x3",
            "output_shape": list(shape),
            "parameters": 9 * channels * shape[0],
            "macs": 9 * channels * math.prod(shape),
            "bits": 8 if number % 3 == 0 else 32,
        }
        for place, (shape, channels) in enumerate(zip(shapes, inputs, strict=True))
    ]
    layers.append(
        {
            "name": "head.linear",
            "op": "linear",
            "output_shape": [10],
            "parameters": 20 * width + 10,
            "macs": 20 * width,
            "bits": 32,
        }
    )
    return Architecture(
        identity=f"{study.id:08x}{number:056x}",
        space="plain_convnet",
        definition={
            "version": 1,
            "space": {"name": "plain_convnet", "preset": "small"},
            "policies": [{"name": "precision", "scope": "network"}],
            "choices": {
                "stem.width": width,
                "stage1.kernel": 3,
                "precision": "int8" if number % 3 == 0 else "fp32",
            },
        },
        parameters=sum(int(str(layer["parameters"])) for layer in layers),
        macs=sum(int(str(layer["macs"])) for layer in layers),
        layers=layers,
    )


def _measured(session: Session, candidate: Candidate, target: Target, latency: float, draw: random.Random) -> None:
    low, high = latency * (1 - draw.uniform(0.004, 0.03)), latency * (1 + draw.uniform(0.004, 0.03))
    session.add_all(
        [
            Metric(
                candidate_id=candidate.id,
                name="latency_ms",
                target="local",
                value=latency,
                low=low,
                high=high,
            ),
            Metric(candidate_id=candidate.id, name="peak_memory_bytes", target="local", value=latency * 4e6),
            Metric(candidate_id=candidate.id, name="size_bytes", value=4.0 * candidate.architecture.parameters),
            JobRow(
                candidate_id=candidate.id,
                kind="gate",
                target="local",
                state="done",
                attempt=1,
                started_at=candidate.created_at,
                finished_at=candidate.created_at + timedelta(seconds=1.4),
            ),
            Measurement(
                candidate_id=candidate.id,
                target_id=target.id,
                purpose="gate",
                latency_ms=latency,
                low_ms=low,
                high_ms=high,
                structure_hash=f"{candidate.id:064x}",
                conditions={
                    "protocol": 1,
                    "statistic": "min_ratio",
                    "reference_ms": REFERENCE_MS,
                    "runs": 160,
                },
                samples=samples_of(latency, draw),
                created_at=candidate.created_at,
            ),
        ]
    )


def _trained(session: Session, candidate: Candidate, accuracy: float, draw: random.Random) -> None:
    train = JobRow(
        candidate_id=candidate.id,
        kind="train",
        state="running" if candidate.state == "running" else "done",
        attempt=1,
        started_at=candidate.created_at + timedelta(seconds=1.5),
        finished_at=candidate.finished_at,
    )
    session.add(train)
    epochs = {"failed": 2, "running": 4}.get(candidate.state, 12)
    for epoch in range(epochs):
        value = accuracy * (1 - 0.6 * math.exp(-0.6 * (epoch + 1))) + draw.uniform(-0.004, 0.004)
        values = {
            "train_loss": 2.2 * math.exp(-0.35 * epoch) + draw.uniform(0, 0.05),
            "learning_rate": 0.01,
            "seconds": 0.6,
            "accuracy": value,
        }
        session.add(EpochRow(candidate_id=candidate.id, epoch=epoch, values=values))
    if candidate.state == "failed":
        candidate.reason, candidate.traceback = "JobError: loss is nan in epoch 2, step 31", TRACEBACK
        train.state, train.error = "failed", candidate.reason
    if candidate.state not in ("complete", "infeasible"):
        return
    low, high = wilson(accuracy, 700)
    session.add(Metric(candidate_id=candidate.id, name="accuracy", value=accuracy, low=low, high=high))
    if candidate.number == 0:
        _finally_trained(session, candidate, accuracy)
    for kind in ("onnx", "weights"):
        session.add(
            ArtifactRow(
                candidate_id=candidate.id,
                kind=kind,
                uri=f"file:///artifacts/{candidate.id}/{kind}",
                sha256=f"{candidate.id:064x}",
                size_bytes=4 * candidate.architecture.parameters,
                record={"route": "fx"} if kind == "onnx" else {},
                created_at=candidate.created_at,
            )
        )


def _finally_trained(session: Session, candidate: Candidate, accuracy: float) -> None:
    """One final training that ended, and one that failed."""
    for seed, state in enumerate(("complete", "failed")):
        better = accuracy + 0.01
        training = FinalTrainingRow(
            candidate_id=candidate.id,
            key=f"{seed:064x}",
            recipe={
                "estimator_spec": {"name": "training", "epochs": 3},
                "teacher": "dense",
                "distillation": {"temperature": 2.0, "hard_weight": 1.0, "soft_weight": 1.0},
                "seed": seed,
                "workers": 1,
            },
            state=state,
            attempt=1,
            environment={},
            result={"metrics": {"accuracy": better}, "intervals": {"accuracy": [better - 0.01, better + 0.005]}}
            if state == "complete"
            else None,
            error=None if state == "complete" else "JobError: loss is nan in epoch 2, step 31",
            traceback=None if state == "complete" else TRACEBACK,
            started_at=candidate.created_at + timedelta(hours=1),
            finished_at=candidate.created_at + timedelta(hours=2),
        )
        session.add(training)
        session.flush()
        for epoch in range(3 if state == "complete" else 1):
            values = {"train_loss": 1.0 / (epoch + 1), "accuracy": better - 0.1 / (epoch + 1)}
            session.add(FinalEpochRow(final_training_id=training.id, epoch=epoch, values=values))


def samples_of(latency: float, draw: random.Random) -> bytes:
    """Two sessions of eight visits, in the format of the measuring protocol."""
    sessions = tuple(
        tuple(Visit(_burst(latency, draw), _burst(REFERENCE_MS, draw)) for _ in range(8)) for _ in range(2)
    )
    return Samples(sessions, "process").to_bytes()


def _burst(milliseconds: float, draw: random.Random) -> np.ndarray:
    wall = [int(1e6 * milliseconds * (1 + draw.gammavariate(1.5, 0.03))) for _ in range(10)]
    return burst_array(wall, [int(0.98 * time) for time in wall], [0] * 9 + [int(draw.random() < 0.3)])
