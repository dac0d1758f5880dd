"""Studies at the edge of what a database can hold, written through the tables' models."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from tests.browser.seed import START, TRACEBACK, Kind, seed_study
from trials.store.models import Candidate, EpochRow, Metric, Study, Target

NUM_TARGETS, NUM_CHOICES = 12, 60


def seed_odd_studies(engine: Engine) -> None:
    """Write one study for each entry of ``ODD``; its name is the entry's."""
    with Session(engine) as session:
        local = Target(name="local", description={"runtime": "onnxruntime"}, references={}, created_at=START)
        session.add(local)
        session.flush()
        for place, (name, (num_trials, spoil)) in enumerate(ODD.items()):
            kind = Kind(name, "search", place, "complete", num_trials, 0.8)
            at = START + timedelta(hours=place)
            study = seed_study(session, local, kind, group=name, created_at=at)
            session.flush()
            spoil(session, study)
        session.commit()


def _nothing(session: Session, study: Study) -> None:
    """Leave a study as it is."""


def _all_failed(session: Session, study: Study) -> None:
    for candidate in _candidates(session, study):
        candidate.state, candidate.reason, candidate.traceback = "failed", "JobError: loss is nan", TRACEBACK
        for metric in session.scalars(select(Metric).where(Metric.candidate_id == candidate.id)):
            session.delete(metric)


def _not_finite(session: Session, study: Study) -> None:
    """Write infinite values where numbers belong, and NaN where JSON holds them; a column can't hold NaN."""
    for candidate in _candidates(session, study):
        number = candidate.number
        for metric in session.scalars(select(Metric).where(Metric.candidate_id == candidate.id)):
            metric.value = (metric.value, math.inf, -math.inf)[number % 3]
            metric.low, metric.high = (-math.inf, math.inf) if number % 2 else (None, math.inf)
        for epoch in session.scalars(select(EpochRow).where(EpochRow.candidate_id == candidate.id)):
            epoch.values = {**epoch.values, "accuracy": (math.nan, math.inf)[number % 2], "train_loss": math.nan}


def _many_targets(session: Session, study: Study) -> None:
    names = ["local", *(f"device-{place:02d} with a long name" for place in range(1, NUM_TARGETS))]
    for name in names[1:]:
        session.add(Target(name=name, description={"runtime": "onnxruntime"}, references={}, created_at=START))
    study.plan = {**study.plan, "targets": [{**study.plan["targets"][0], "name": name} for name in names]}
    study.objectives = {"accuracy": "maximize", **{f"latency_ms@{name}": "minimize" for name in names[:3]}}
    study.limits = {f"latency_ms@{name}": {"max": 0.9, "min": None} for name in names}
    flag_modified(study, "plan")
    ours = Metric.candidate_id.in_([candidate.id for candidate in _candidates(session, study)])
    for metric in session.scalars(select(Metric).where(ours, Metric.name == "latency_ms")).all():
        for place, name in enumerate(names[1:], 1):
            value = metric.value * (1 + 0.1 * place)
            row = {"value": value, "low": 0.98 * value, "high": 1.02 * value}
            session.add(Metric(candidate_id=metric.candidate_id, name="latency_ms", target=name, **row))


def _many_choices(session: Session, study: Study) -> None:
    for candidate in _candidates(session, study):
        answers = {f"stage{place}.{'x' * 40}.width": (place * candidate.number) % 4 for place in range(NUM_CHOICES)}
        candidate.architecture.definition = {**candidate.architecture.definition, "choices": answers}


def _candidates(session: Session, study: Study) -> list[Candidate]:
    return list(session.scalars(select(Candidate).where(Candidate.study_id == study.id).order_by(Candidate.number)))


#: Name → number of trials, and what is done to them.
ODD: dict[str, tuple[int, Callable[[Session, Study], None]]] = {
    "no trials": (0, _nothing),
    "one trial": (1, _nothing),
    "all failed": (8, _all_failed),
    "not finite": (24, _not_finite),
    "12 targets": (24, _many_targets),
    "60 choices": (30, _many_choices),
}
