"""Read the code that a study keeps for clusters."""

from __future__ import annotations

from sqlalchemy import Connection, select

from trials.store.dialect import table
from trials.store.models import Study

STUDIES = table(Study)


def kept_code(connection: Connection, study_id: int) -> bytes | None:
    """Return the zip archive of a study's own Python files; None if the study does not keep them."""
    found: bytes | None = connection.execute(select(STUDIES.c.code).where(STUDIES.c.id == study_id)).scalar_one()
    return found
