"""Read rows of studies and targets by name."""

from __future__ import annotations

from sqlalchemy import Connection, func, select
from sqlalchemy.orm import Session

from nas.errors import UnknownNameError
from nas.registry import nearest
from trials.store.database.urls import shown
from trials.store.dialect import table
from trials.store.models import Measurement, Study, Target
from trials.store.records import TargetRow

STUDIES, TARGETS, MEASUREMENTS = table(Study), table(Target), table(Measurement)


def study_row(connection: Connection, name: str) -> Study:
    """The study called ``name``, detached.

    Raises:
        UnknownNameError: it does not exist; the message suggests the most similar name.
    """
    row = find_study(connection, name)
    if row is None:
        known = list(connection.execute(select(STUDIES.c.name).order_by(STUDIES.c.id.desc())).scalars())
        hint = nearest(name, known, f"it has: {', '.join(known[:20]) or 'none yet'}")
        raise UnknownNameError(f"no study {name!r} in {shown(connection.engine.url)}{hint}")
    return row


def find_study(connection: Connection, name: str) -> Study | None:
    """The study called ``name``, detached; None if it does not exist."""
    with Session(connection, expire_on_commit=False) as session:
        row = session.scalar(select(Study).where(Study.name == name))
        if row is not None:
            session.expunge(row)
        return row


def find_target(connection: Connection, name: str) -> Target | None:
    """The target called ``name``, detached; None if it does not exist."""
    with Session(connection, expire_on_commit=False) as session:
        row = session.scalar(select(Target).where(Target.name == name))
        if row is not None:
            session.expunge(row)
        return row


def target_rows(connection: Connection) -> list[TargetRow]:
    """All targets in the order of their names, each with its number of measurements."""
    count = func.count(MEASUREMENTS.c.id).label("measurements")
    statement = (
        select(TARGETS.c.name, TARGETS.c.description, TARGETS.c.created_at, count)
        .outerjoin(MEASUREMENTS, MEASUREMENTS.c.target_id == TARGETS.c.id)
        .group_by(TARGETS.c.id)
        .order_by(TARGETS.c.name)
    )
    return [TargetRow(**row) for row in connection.execute(statement).mappings()]
