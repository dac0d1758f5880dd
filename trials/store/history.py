"""What a coordinator reads back when it starts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nas.space.chooser import Question
from nas.strategies import Suggestion
from trials.store.models import Architecture, ArtifactRow, Candidate, JobRow, Metric, Study, SuggestionRow
from trials.store.records import KeptArtifact, MetricValue, OpenJob, Step, StoredSuggestion

Metrics = dict[tuple[str, str], MetricValue]


def open_jobs(session: Session, study_id: int) -> list[OpenJob]:
    """Queued jobs of open candidates, with results and metrics so far."""
    rows = session.execute(
        select(
            JobRow.id.label("job_id"),
            JobRow.kind,
            JobRow.target,
            Candidate.id.label("candidate_id"),
            Candidate.number,
            Candidate.state,
            Architecture.identity,
            Architecture.definition.label("architecture"),
        )
        .join(Candidate, Candidate.id == JobRow.candidate_id)
        .join(Architecture, Architecture.id == Candidate.architecture_id)
        .where(
            Candidate.study_id == study_id,
            JobRow.state == "queued",
            Candidate.state.in_(("queued", "running")),
        )
        .order_by(Candidate.number, JobRow.id)
    ).all()
    results = _results(session, [row.candidate_id for row in rows])
    metrics = _metrics(session, study_id)
    return [
        OpenJob(
            **row._mapping, results=results[row.candidate_id], metrics=metrics.get(row.candidate_id, {})
        )
        for row in rows
    ]


def observations(session: Session, study_id: int) -> list[StoredSuggestion]:
    """Every suggestion in order, with its candidate's state and metrics."""
    metrics = _metrics(session, study_id)
    interned: dict[str, tuple[Question, ...]] = {}
    rows = session.execute(
        select(
            SuggestionRow.number,
            SuggestionRow.questions,
            SuggestionRow.answers,
            SuggestionRow.sampler_state,
            SuggestionRow.duplicate,
            SuggestionRow.candidate_id,
            Candidate.state,
        )
        .join(Candidate, Candidate.id == SuggestionRow.candidate_id)
        .where(SuggestionRow.study_id == study_id)
        .order_by(SuggestionRow.number)
    )
    return [
        StoredSuggestion(
            Suggestion(row.number, _questions(row.questions, interned), row.answers, row.sampler_state),
            row.duplicate,
            row.candidate_id,
            row.state,
            metrics.get(row.candidate_id, {}),
        )
        for row in rows
    ]


def kept_artifacts(session: Session, name: str) -> list[KeptArtifact]:
    """Files of a study that were not deleted."""
    rows = session.execute(
        select(
            ArtifactRow.id, Candidate.number, ArtifactRow.kind, ArtifactRow.uri, ArtifactRow.sha256, ArtifactRow.size_bytes
        )
        .join(Candidate, Candidate.id == ArtifactRow.candidate_id)
        .join(Study, Study.id == Candidate.study_id)
        .where(Study.name == name, ArtifactRow.deleted_at.is_(None))
        .order_by(ArtifactRow.id)
    )
    return [KeptArtifact(*row) for row in rows]


def _questions(stored: list[Any], interned: dict[str, tuple[Question, ...]]) -> tuple[Question, ...]:
    """One object for equal lists: 25,000 suggestions ask few different ones."""
    key = repr(stored)
    if key not in interned:
        interned[key] = tuple(
            Question(name, tuple(options), ordered, active, site)
            for name, options, ordered, active, site in stored
        )
    return interned[key]


def _metrics(session: Session, study_id: int) -> Mapping[int, Metrics]:
    found: dict[int, Metrics] = defaultdict(dict)
    rows = session.execute(
        select(Metric.candidate_id, Metric.name, Metric.target, Metric.value, Metric.low, Metric.high)
        .join(Candidate, Candidate.id == Metric.candidate_id)
        .where(Candidate.study_id == study_id)
    )
    for candidate_id, name, target, value, low, high in rows:
        found[candidate_id][name, target] = MetricValue(name, target, value, low, high)
    return found


def _results(session: Session, candidates: list[int]) -> dict[int, dict[Step, Mapping[str, Any]]]:
    found: dict[int, dict[Step, Mapping[str, Any]]] = defaultdict(dict)
    rows = session.execute(
        select(JobRow.candidate_id, JobRow.kind, JobRow.target, JobRow.result).where(
            JobRow.candidate_id.in_(candidates), JobRow.state == "done"
        )
    )
    for candidate_id, kind, target, result in rows:
        found[candidate_id][kind, target] = result
    return found
