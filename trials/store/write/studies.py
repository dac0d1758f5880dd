"""Rows of studies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError

from nas.errors import StudyError
from trials.store.dialect import Clock, table
from trials.store.models import Architecture, Candidate, Study
from trials.store.naming import check_name

STUDIES, CANDIDATES, ARCHITECTURES = table(Study), table(Candidate), table(Architecture)


def create(connection: Connection, columns: Mapping[str, Any]) -> int:
    """A new study, not yet coordinated by anyone; its id.

    Raises:
        StudyError: the name is taken, or no study may have it.
    """
    name = columns["name"]
    check_name_free(connection, name)
    fixed = {"state": "interrupted", "totals": {}, "lease_epoch": 0}
    statement = insert(STUDIES).values(created_at=Clock(), **fixed, **columns).returning(STUDIES.c.id)
    try:
        return int(connection.execute(statement).scalar_one())
    except IntegrityError:
        raise _taken(name) from None


def check_name_free(connection: Connection, name: str) -> None:
    """Raise StudyError if a study of that name exists, or none can."""
    check_name(name)
    if connection.execute(select(STUDIES.c.id).where(STUDIES.c.name == name)).one_or_none():
        raise _taken(name)


def names(connection: Connection) -> list[str]:
    """Every study's name, newest first."""
    return list(connection.execute(select(STUDIES.c.name).order_by(STUDIES.c.id.desc())).scalars())


def finish_preparing(
    connection: Connection, study_id: int, limits: Mapping[str, Any], environment: Mapping[str, Any]
) -> None:
    """Store what was found out about a study before its start."""
    values = {"limits": dict(limits), "environment": dict(environment), "is_prepared": True}
    connection.execute(update(STUDIES).where(STUDIES.c.id == study_id).values(**values))


def extend(
    connection: Connection,
    study_id: int,
    plan: Mapping[str, Any],
    limits: Mapping[str, Any],
    broken: Mapping[int, str],
) -> None:
    """Replace a study's plan and limits, keep the old ones, and end complete candidates that a limit now rejects.

    ``broken``: candidate → why. The study is left interrupted.
    """
    ours = STUDIES.c.id == study_id
    old = connection.execute(select(STUDIES.c.plan, STUDIES.c.limits, STUDIES.c.history).where(ours)).one()
    now = connection.execute(select(Clock())).scalar_one()
    history = [*(old.history or []), {"until": now.isoformat(), "plan": old.plan, "limits": old.limits}]
    left = {"state": "interrupted", "finished_at": None, "lease_owner": None, "lease_expires_at": None}
    new = {"plan": dict(plan), "limits": dict(limits), "history": history, **left}
    connection.execute(update(STUDIES).where(ours).values(**new))
    for candidate_id, reason in broken.items():
        complete = CANDIDATES.c.id == candidate_id, CANDIDATES.c.state == "complete"
        connection.execute(update(CANDIDATES).where(*complete).values(state="infeasible", reason=reason))


def remove(connection: Connection, study_id: int) -> None:
    """Remove a study; the database removes what hangs on it."""
    connection.execute(delete(STUDIES).where(STUDIES.c.id == study_id))


def prune(connection: Connection) -> int:
    """Remove architectures that no study has any more; how many. Those just being proposed are left alone."""
    used = exists().where(CANDIDATES.c.architecture_id == ARCHITECTURES.c.id)
    free = select(ARCHITECTURES.c.id).where(~used).with_for_update(skip_locked=True)
    return connection.execute(delete(ARCHITECTURES).where(ARCHITECTURES.c.id.in_(free))).rowcount


def set_limits(connection: Connection, study_id: int, limits: Mapping[str, Any]) -> None:
    """Replace the resolved limits."""
    connection.execute(update(STUDIES).where(STUDIES.c.id == study_id).values(limits=dict(limits)))


def _taken(name: str) -> StudyError:
    return StudyError(
        f"a study {name!r} exists; go on with `nas resume {name}`, or give this one another name with --name"
    )
