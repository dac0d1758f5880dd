"""A group of sparse studies: one with everything it can be compared with, and one without any of it."""

from __future__ import annotations

from datetime import timedelta
from random import Random

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from tests.browser.seed import REFERENCE_MS, START, Kind, samples_of, seed_study
from trials.analysis.compared import compared
from trials.store.models import Architecture, ArtifactRow, Candidate, Measurement, Metric, Study, SuggestionRow, Target

REGIME = {"when": "during", "dynamic": False, "structures": ["unstructured", "semi-structured"]}
DENSITIES = (0.25, 0.1, 0.5, 1.0)
#: Accuracy and latency of each comparison network, divided by those of the candidate.
COMPANIONS = {"dense": (1.004, 1.4), "random_mask": (0.985, 1.0)}


def seed_sparse(engine: Engine) -> None:
    """Write ``sparse`` with ``sparse-dense``, ``sparse-random-mask`` and a reference, and ``bare`` without any.

    Every third sparse candidate of ``sparse`` is no faster than its dense twin.
    """
    with Session(engine) as session:
        target = session.scalars(select(Target)).one()
        study = _searched(session, target, "sparse", 12)
        study.regime = REGIME
        for candidate in _complete(session, study):
            _make_sparse(session, target, candidate)
        session.flush()
        session.expire_all()
        for role, factors in COMPANIONS.items():
            _companion(session, study, role, factors)
        _reference(session, study)
        _searched(session, target, "bare", 4).regime = {}
        session.commit()


def _searched(session: Session, target: Target, name: str, count: int) -> Study:
    kind = Kind(name, "search", 5, "complete", count, 1.0)
    study = seed_study(session, target, kind, group=name, created_at=START + timedelta(hours=3))
    study.plan = {**study.plan, "policies": [{"name": "sparsity"}]}
    session.flush()
    return study


def _complete(session: Session, study: Study) -> list[Candidate]:
    query = select(Candidate).where(Candidate.study_id == study.id, Candidate.state == "complete")
    return list(session.scalars(query.order_by(Candidate.number)))


def _make_sparse(session: Session, target: Target, candidate: Candidate) -> None:
    density = DENSITIES[candidate.number % len(DENSITIES)]
    size = 4.0 * candidate.architecture.parameters
    _record(session, candidate, {"density": density, "nonzero_bytes": density * size})
    if density == 1:
        return
    own = next(row.value for row in candidate.metrics if row.name == "latency_ms")
    twin = own * (0.9 if candidate.number % 3 == 0 else 1 / density**0.3)
    low, high = 0.98 * twin, 1.02 * twin
    session.add_all(
        [
            Metric(candidate_id=candidate.id, name="dense_latency_ms", target="local", value=twin, low=low, high=high),
            Measurement(
                candidate_id=candidate.id,
                target_id=target.id,
                purpose="twin",
                latency_ms=twin,
                low_ms=low,
                high_ms=high,
                structure_hash="d" * 64,
                conditions={"reference_ms": REFERENCE_MS},
                samples=samples_of(twin, Random(candidate.number)),
                created_at=candidate.created_at + timedelta(seconds=8),
            ),
        ]
    )
    file = session.scalars(
        select(ArtifactRow).where(ArtifactRow.candidate_id == candidate.id, ArtifactRow.kind == "onnx")
    ).one()
    dense = {"pattern": "dense", "density": 1.0, "realised_density": 1.0, "sparsity": 0.0}
    pruned = {"pattern": "unstructured", "schedule": "gradual", "density": density, "realised_density": density + 0.004}
    file.record = {
        "route": "fx",
        "sites": {"stage0.conv": dense, "stage1.conv": {**pruned, "sparsity": 0.996 - density}},
    }


def _companion(session: Session, study: Study, role: str, factors: tuple[float, float]) -> None:
    numbers = compared(session, study.name, 4)
    companion = _beside(session, study, f"{study.name}-{role.replace('_', '-')}", role)
    companion.beside = {"study": study.name, "candidates": numbers}
    found = {candidate.number: candidate for candidate in _complete(session, study)}
    for place, key in enumerate(numbers):
        own = {row.name: row.value for row in found[key].metrics}
        values = {"accuracy": own["accuracy"] * factors[0], "size_bytes": own["size_bytes"]}
        if role == "random_mask":
            values |= {name: own[name] for name in ("density", "nonzero_bytes")}
        candidate = _candidate(session, companion, place, values, own["latency_ms"] * factors[1])
        session.add(
            SuggestionRow(
                study_id=companion.id,
                candidate_id=candidate.id,
                number=place,
                duplicate=False,
                questions=[],
                answers={},
                sampler_state={},
            )
        )


def _reference(session: Session, study: Study) -> None:
    fixed = _beside(session, study, f"{study.name}-timm_model-small", "reference")
    _candidate(session, fixed, 0, {"accuracy": 0.97, "size_bytes": 6e6}, 0.9)


def _beside(session: Session, study: Study, name: str, role: str) -> Study:
    other = Study(
        name=name,
        group=study.group,
        role=role,
        state="complete",
        plan=study.plan,
        limits={},
        objectives=study.objectives,
        environment={},
        seed=study.seed,
        created_at=study.created_at + timedelta(minutes=10),
        totals={},
        lease_epoch=1,
    )
    session.add(other)
    session.flush()
    return other


def _candidate(session: Session, study: Study, number: int, values: dict[str, float], latency_ms: float) -> Candidate:
    candidate = Candidate(
        study_id=study.id,
        number=number,
        architecture=Architecture(
            identity=f"{study.id:08x}{number:056x}",
            space="plain_convnet",
            definition={"version": 1, "choices": {}},
            parameters=1000,
            macs=1000,
            layers=[],
        ),
        state="complete",
        created_at=study.created_at,
    )
    session.add(candidate)
    session.flush()
    _record(session, candidate, values)
    low, high = 0.98 * latency_ms, 1.02 * latency_ms
    session.add(
        Metric(candidate_id=candidate.id, name="latency_ms", target="local", value=latency_ms, low=low, high=high)
    )
    return candidate


def _record(session: Session, candidate: Candidate, values: dict[str, float]) -> None:
    session.add_all([Metric(candidate_id=candidate.id, name=name, value=value) for name, value in values.items()])
