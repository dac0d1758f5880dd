"""Write rechecks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select

from trials.store.dialect import Clock, table
from trials.store.models import RecheckRow, Study


def add_recheck(connection: Connection, study: str, result: Mapping[str, Any]) -> None:
    """Add the front of a study in another environment."""
    study_id = connection.execute(select(table(Study).c.id).where(table(Study).c.name == study)).scalar_one()
    connection.execute(insert(table(RecheckRow)).values(study_id=study_id, result=dict(result), created_at=Clock()))
