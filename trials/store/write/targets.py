"""Rows of targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, func, select

from trials.store.dialect import Clock, Insert, table
from trials.store.models import Measurement, Target
from trials.store.records import TargetRow

TARGETS, MEASUREMENTS = table(Target), table(Measurement)
_ADD = Insert(TARGETS, ("name",))


def add(connection: Connection, name: str, description: Mapping[str, Any], references: Mapping[str, Any]) -> None:
    """Remember a target; whoever calibrated it first wins."""
    row = {"name": name, "description": dict(description), "references": dict(references)}
    found = connection.execute(select(Clock())).scalar_one()
    _ADD.run(connection, {**row, "created_at": found})


def remove(connection: Connection, name: str) -> int:
    """Remove a target unless measurements are about it; how many are."""
    ours = select(TARGETS.c.id).where(TARGETS.c.name == name)
    count = select(func.count()).select_from(MEASUREMENTS).where(MEASUREMENTS.c.target_id.in_(ours))
    found = int(connection.execute(count).scalar_one())
    if not found:
        connection.execute(delete(TARGETS).where(TARGETS.c.name == name))
    return found


def rows(connection: Connection) -> list[TargetRow]:
    """Every target by name, with how many measurements are about it."""
    count = func.count(MEASUREMENTS.c.id).label("measurements")
    statement = (
        select(TARGETS.c.name, TARGETS.c.description, TARGETS.c.created_at, count)
        .outerjoin(MEASUREMENTS, MEASUREMENTS.c.target_id == TARGETS.c.id)
        .group_by(TARGETS.c.id)
        .order_by(TARGETS.c.name)
    )
    return [TargetRow(**row) for row in connection.execute(statement).mappings()]
