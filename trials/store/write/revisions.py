"""Mark candidates as changed whose rows in other tables have changed, so that readers read them again."""

from __future__ import annotations

from sqlalchemy import Connection, Select, update

from trials.store.dialect import table
from trials.store.models import NEXT_REVISION, Candidate

CANDIDATES = table(Candidate)


def touch(connection: Connection, candidates: int | Select[int]) -> None:
    """Give a candidate, or those whose ids a query returns, the next revision of their study."""
    which = CANDIDATES.c.id == candidates if isinstance(candidates, int) else CANDIDATES.c.id.in_(candidates)
    connection.execute(update(CANDIDATES).where(which).values(revision=NEXT_REVISION))
