"""Suggestions become candidates, or are answered by one that exists."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from nas.strategies import Suggestion
from trials.store.leases import now
from trials.store.models import Architecture, Candidate, JobRow, SuggestionRow
from trials.store.records import ArchitectureValue, Duplicate, Proposed, Step


def propose(
    session: Session, study_id: int, suggestion: Suggestion, architecture: ArchitectureValue, first: Step
) -> Proposed | Duplicate:
    """Store a suggestion and, for a network new to the study, its candidate and first job."""
    architecture_id = _architecture(session, architecture)
    known = session.scalar(
        select(Candidate.id).where(
            Candidate.study_id == study_id, Candidate.architecture_id == architecture_id
        )
    )
    if known is not None:
        _suggest(session, study_id, known, suggestion, duplicate=True)
        return Duplicate(known)
    number = session.scalar(
        select(func.coalesce(func.max(Candidate.number) + 1, 0)).where(Candidate.study_id == study_id)
    )
    candidate_id = _insert(
        session,
        Candidate,
        study_id=study_id,
        architecture_id=architecture_id,
        number=number,
        state="queued",
        created_at=now(session),
    )
    _suggest(session, study_id, candidate_id, suggestion, duplicate=False)
    job_id = add_job(session, candidate_id, first)
    return Proposed(candidate_id, int(number or 0), job_id)


def add_job(session: Session, candidate_id: int, step: Step) -> int:
    """Queue a job; its id."""
    return _insert(
        session, JobRow, candidate_id=candidate_id, kind=step[0], target=step[1], state="queued", attempt=0
    )


def upsert(session: Session, table: Any) -> Any:
    """The dialect's INSERT … ON CONFLICT."""
    dialect = session.get_bind().dialect.name
    return (sqlite_insert if dialect == "sqlite" else postgresql_insert)(table)


def _architecture(session: Session, value: ArchitectureValue) -> int:
    """The row of an architecture, shared by all studies; whoever inserts it first wins."""
    by_identity = select(Architecture.id).where(Architecture.identity == value.identity)
    found = session.scalar(by_identity)
    if found is not None:
        return found
    row = {
        "identity": value.identity,
        "space": value.space,
        "definition": dict(value.definition),
        "parameters": value.parameters,
        "macs": value.macs,
        "layers": [dict(layer) for layer in value.layers],
    }
    session.execute(upsert(session, Architecture).values(row).on_conflict_do_nothing())
    return session.execute(by_identity).scalar_one()


def _suggest(
    session: Session, study_id: int, candidate_id: int, suggestion: Suggestion, *, duplicate: bool
) -> None:
    questions = [
        [question.name, list(question.options), question.ordered, question.active, question.site]
        for question in suggestion.questions
    ]
    session.execute(
        insert(SuggestionRow).values(
            study_id=study_id,
            candidate_id=candidate_id,
            number=suggestion.number,
            duplicate=duplicate,
            questions=questions,
            answers=dict(suggestion.answers),
            sampler_state=dict(suggestion.sampler_state),
        )
    )


def _insert(session: Session, model: Any, **values: Any) -> int:
    return int(session.execute(insert(model).values(**values).returning(model.id)).scalar_one())
