"""Write rows of targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, func, select

from trials.store.dialect import Clock, Insert, table
from trials.store.models import ImportedMeasurement, Measurement, Target

TARGETS, MEASUREMENTS, IMPORTED = table(Target), table(Measurement), table(ImportedMeasurement)
_ADD = Insert(TARGETS, ("name",))


def add_target(
    connection: Connection, name: str, description: Mapping[str, Any], references: Mapping[str, Any]
) -> None:
    """Add a calibrated target; a target of this name that exists is kept as it is."""
    row = {"name": name, "description": dict(description), "references": dict(references)}
    found = connection.execute(select(Clock())).scalar_one()
    _ADD.run(connection, {**row, "created_at": found})


def remove_target(connection: Connection, name: str) -> int:
    """Remove a target if it has no measurements; return how many it has."""
    ours = select(TARGETS.c.id).where(TARGETS.c.name == name)
    counts = [select(func.count()).where(rows.c.target_id.in_(ours)) for rows in (MEASUREMENTS, IMPORTED)]
    found = sum(int(connection.execute(count).scalar_one()) for count in counts)
    if not found:
        connection.execute(delete(TARGETS).where(TARGETS.c.name == name))
    return found
