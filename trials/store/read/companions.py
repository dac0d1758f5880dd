"""Read the companions and reference networks that a study's candidates are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from trials.store.models import Candidate, Study, SuggestionRow
from trials.store.read.candidates import CandidateRow, candidate_row
from trials.store.read.session import Source, find_study, reading


@dataclass(frozen=True)
class Companion:
    """A companion of a study."""

    study: str
    role: str
    #: Number of a candidate of the study → the companion's candidate that it is compared with.
    candidates: Mapping[int, CandidateRow]


def companions(source: Source, name: str) -> dict[str, Companion]:
    """Role → companion with this role of the study ``name``.

    Raises:
        UnknownNameError: the study does not exist.
    """
    with reading(source) as session:
        study = find_study(session, name)
        group = session.scalars(select(Study).where(Study.group == study.group).order_by(Study.id))
        found = [row for row in group if row.beside and row.beside["study"] == name]
        return {row.role: Companion(row.name, row.role, _candidates(session, row)) for row in found}


def references(source: Source, name: str) -> dict[str, CandidateRow]:
    """Name of a reference study in the group of the study ``name`` → its candidate, the reference network.

    Raises:
        UnknownNameError: the study does not exist.
    """
    with reading(source) as session:
        group = find_study(session, name).group
        query = select(Study, Candidate).join(Candidate, Candidate.study_id == Study.id)
        query = query.where(Study.group == group, Study.role == "reference").order_by(Study.id)
        return {study.name: candidate_row(study, candidate) for study, candidate in session.execute(query)}


def _candidates(session: Session, companion: Study) -> dict[int, CandidateRow]:
    assert companion.beside is not None
    query = select(SuggestionRow.number, Candidate).join(Candidate, Candidate.id == SuggestionRow.candidate_id)
    query = query.where(SuggestionRow.study_id == companion.id).order_by(SuggestionRow.number)
    numbers = companion.beside["candidates"]
    return {numbers[place]: candidate_row(companion, candidate) for place, candidate in session.execute(query)}
