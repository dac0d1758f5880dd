"""A study measured on two targets; one of its networks was profiled and exported."""

from __future__ import annotations

import random
from datetime import timedelta

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from nas.strategies import PREDICTED
from nas.tasks.intervals import wilson
from tests.browser.seed import START, Kind, seed_study
from trials.store.models import Candidate, ExportRow, Metric, ProfileRow, Study, SuggestionRow, Target

NAME, OTHER = "pair", "phone"
#: Number of the candidate that was profiled and exported.
CHOSEN = 0


def seed_targets(engine: Engine) -> None:
    """Write the study ``pair`` beside what ``seed_database`` wrote."""
    with Session(engine) as session:
        local = session.scalars(select(Target).where(Target.name == "local")).one()
        session.add(Target(name=OTHER, description={"runtime": "openvino"}, references={}, created_at=START))
        kind = Kind(NAME, "search", 5, "complete", 12, 0.8)
        study = seed_study(session, local, kind, group=NAME, created_at=START + timedelta(hours=4))
        targets = [*study.plan["targets"], {"name": OTHER, "runtime": "openvino", "threads": 1, "batch": 1}]
        study.plan = {**study.plan, "targets": targets}
        session.flush()
        draw = random.Random(0)
        ours = Metric.candidate_id.in_(select(Candidate.id).where(Candidate.study_id == study.id))
        for metric in session.scalars(select(Metric).where(ours, Metric.name == "latency_ms")).all():
            value = metric.value * draw.uniform(2.0, 2.9)
            row = {"value": value, "low": 0.98 * value, "high": 1.02 * value}
            session.add(Metric(candidate_id=metric.candidate_id, name="latency_ms", target=OTHER, **row))
            session.add(_predicted(study, metric))
        _chosen(session, study, local)
        session.commit()


def _predicted(study: Study, metric: Metric) -> SuggestionRow:
    """The suggestion of a candidate whose latency on the first target was predicted 4 % too high."""
    return SuggestionRow(
        study_id=study.id,
        candidate_id=metric.candidate_id,
        number=metric.candidate_id,
        duplicate=False,
        questions=[],
        answers={},
        sampler_state={PREDICTED: {"latency_ms": [share * metric.value for share in (1.04, 0.9, 1.2)]}},
    )


def _chosen(session: Session, study: Study, target: Target) -> None:
    query = select(Candidate).where(Candidate.study_id == study.id, Candidate.number == CHOSEN)
    candidate = session.scalars(query).one()
    layers = [layer["name"] for layer in candidate.architecture.layers]
    nodes = [
        {"name": f"{layer}/Conv", "op": "Conv", "layer": layer, "time_ms": 0.02 * (place + 1)}
        for place, layer in enumerate(layers)
    ]
    nodes.append({"name": "ReorderOutput", "op": "ReorderOutput", "layer": None, "time_ms": 0.004})
    total = sum(float(str(node["time_ms"])) for node in nodes)
    profile = {"run_ms": 1.2 * total, "runs": 150, "runtime_version": "1.32.0", "nodes": nodes}
    session.add(ProfileRow(candidate_id=candidate.id, target_id=target.id, created_at=START, **profile))
    scores = {
        split: {"accuracy": [value, *wilson(value, 700)]} for split, value in (("validation", 0.931), ("test", 0.917))
    }
    session.add(
        ExportRow(candidate_id=candidate.id, folder="/exported", sha256="0" * 64, scores=scores, created_at=START)
    )
