"""Rows of studies and targets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete as delete_rows
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from nas.errors import StudyError
from trials.store.models import Study, Target


def create(session: Session, columns: Mapping[str, Any]) -> int:
    """A new study; its id."""
    check_name_free(session, columns["name"])
    row = Study(state="interrupted", created_at=datetime.now(UTC), totals={}, lease_epoch=0, **columns)
    session.add(row)
    try:
        session.flush()
    except IntegrityError:
        raise _taken(columns["name"]) from None
    return row.id


def check_name_free(session: Session, name: str) -> None:
    """Raise StudyError if a study of that name exists."""
    if find(session, name) is not None:
        raise _taken(name)


def find(session: Session, name: str) -> Study | None:
    """The study called ``name``."""
    return session.scalar(select(Study).where(Study.name == name))


def names(session: Session) -> list[str]:
    """Every study's name, newest first."""
    return list(session.scalars(select(Study.name).order_by(Study.id.desc())))


def delete(session: Session, study_id: int) -> None:
    """Remove a study; the database removes what hangs on it."""
    session.execute(delete_rows(Study).where(Study.id == study_id))


def save_totals(session: Session, study_id: int, totals: Mapping[str, float]) -> None:
    """Keep running totals."""
    session.execute(update(Study).where(Study.id == study_id).values(totals=dict(totals)))


def add_target(
    session: Session, name: str, description: Mapping[str, Any], references: Mapping[str, Any]
) -> None:
    """Remember a target; whoever calibrated it first wins."""
    if find_target(session, name) is not None:
        return
    try:
        with session.begin_nested():
            session.add(
                Target(
                    name=name,
                    description=dict(description),
                    references=dict(references),
                    created_at=datetime.now(UTC),
                )
            )
    except IntegrityError:
        return


def find_target(session: Session, name: str) -> Target | None:
    """The target called ``name``."""
    return session.scalar(select(Target).where(Target.name == name))


def _taken(name: str) -> StudyError:
    return StudyError(
        f"a study {name!r} exists; go on with `nas resume {name}`, or give this one another name with --name"
    )
