"""Read the doubts that training jobs reported about their own results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from trials.store.models import Candidate, JobRow
from trials.store.read.session import Source, find_study, reading

#: How a doubt begins → its text for several candidates.
_KINDS: Mapping[str, str] = {
    "answers ": "give one answer to all validation examples",
    "its training loss": "have a training loss that never fell",
    "trained for": "were trained for few optimiser steps",
    "no op for": "have a node without an op, so that torch's exporter wrote their files",
}


def doubts_of(session: Session, ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Candidate id → its doubts, for candidates that have any."""
    query = select(JobRow.candidate_id, JobRow.result["doubts"])
    query = query.where(JobRow.kind == "train", JobRow.state == "done", JobRow.candidate_id.in_(ids))
    return {key: tuple(found) for key, found in session.execute(query) if found}


def study_doubts(source: Source, name: str) -> list[str]:
    """Sentences that count the doubts about complete candidates of the study ``name``.

    Raises:
        UnknownNameError: the study does not exist.
    """
    with reading(source) as session:
        study = find_study(session, name)
        trained = (
            JobRow.candidate_id.in_(
                select(Candidate.id).where(Candidate.study_id == study.id, Candidate.state == "complete")
            ),
            JobRow.kind == "train",
            JobRow.state == "done",
        )
        complete = session.scalar(select(func.count()).where(*trained))
        doubts = JobRow.result["doubts"]
        rows = session.scalars(select(doubts).where(*trained, func.json_array_length(doubts) > 0)).all()
    counts = Counter(kind for found in rows for kind in _KINDS if any(text.startswith(kind) for text in found))
    whole = f"of {complete} complete candidates"
    return [f"{counts[kind]} {whole} {text}" for kind, text in _KINDS.items() if counts[kind]]
