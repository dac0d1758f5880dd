"""Read the log of a study."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from trials.store.models import Candidate, LogRow
from trials.store.read.session import Source, find_study, reading


@dataclass(frozen=True)
class LoggedLine:
    """One line of the log of a study."""

    at: datetime
    #: ``info``, ``warning`` or ``error``.
    level: str
    #: Number of the candidate that it is about; None if it is about none.
    number: int | None
    text: str


def log_lines(source: Source, name: str, limit: int, *, number: int | None = None) -> list[LoggedLine]:
    """Return the newest lines of a study's log, or of one of its candidates, the oldest of them first.

    Raises:
        UnknownNameError: the study does not exist.
    """
    query = select(LogRow.created_at, LogRow.level, Candidate.number, LogRow.text)
    query = query.outerjoin(Candidate, Candidate.id == LogRow.candidate_id)
    with reading(source) as session:
        query = query.where(LogRow.study_id == find_study(session, name).id)
        if number is not None:
            query = query.where(Candidate.number == number)
        rows = session.execute(query.order_by(LogRow.id.desc()).limit(limit)).all()
    return [LoggedLine(at, level, about, text) for at, level, about, text in reversed(rows)]
