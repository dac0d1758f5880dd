"""Read the notes and tags that people give to candidates."""

from __future__ import annotations

from sqlalchemy import or_, select

from trials.store.models import Candidate
from trials.store.read.session import Source, find_study, reading
from trials.store.records import Remark


def remarks(source: Source, name: str) -> dict[int, Remark]:
    """Return number → remark of the candidates of a study that have one.

    Raises:
        UnknownNameError: the study does not exist.
    """
    with reading(source) as session:
        query = select(Candidate.number, Candidate.note, Candidate.tags).order_by(Candidate.number)
        query = query.where(Candidate.study_id == find_study(session, name).id)
        found = session.execute(query.where(or_(Candidate.note.is_not(None), Candidate.tags.is_not(None))))
        return {number: Remark(note or "", tuple(tags or ())) for number, note, tags in found}
