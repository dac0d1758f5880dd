"""Write the log of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert

from trials.store.dialect import Clock, table, text_of
from trials.store.models import LogRow

LOG = table(LogRow)
#: Largest length of a line; longer ones are cut.
MAX_CHARACTERS = 4000
_ADD = insert(LOG).values(created_at=Clock(bindparam("after_s")))


@dataclass(frozen=True)
class LogLine:
    """One line to store."""

    #: ``info``, ``warning`` or ``error``.
    level: str
    text: str
    #: Seconds since it was said.
    age_s: float
    candidate_id: int | None = None


def add_lines(connection: Connection, study_id: int, lines: Sequence[LogLine]) -> None:
    """Add lines to the log of a study."""
    if lines:
        rows = [
            {
                "study_id": study_id,
                "candidate_id": line.candidate_id,
                "level": line.level,
                "text": text_of(line.text[:MAX_CHARACTERS]),
                "after_s": -line.age_s,
            }
            for line in lines
        ]
        connection.execute(_ADD, rows)
