"""Write rows of studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError

from nas.errors import StudyError
from trials.store.dialect import Clock, table
from trials.store.models import Architecture, Candidate, Study
from trials.store.naming import check_name
from trials.store.read.rows import study_row
from trials.store.records import Lease
from trials.store.write.leases import check_lease, is_held

STUDIES, CANDIDATES, ARCHITECTURES = table(Study), table(Candidate), table(Architecture)


def create_study(
    connection: Connection,
    *,
    name: str,
    group: str,
    role: str,
    plan: Mapping[str, Any],
    limits: Mapping[str, Any],
    objectives: Mapping[str, str],
    environment: Mapping[str, Any],
    seed: int,
    regime: Mapping[str, Any] | None = None,
    beside: Mapping[str, Any] | None = None,
    original: int | None = None,
    is_prepared: bool = True,
    enqueued: Sequence[Mapping[str, Any]] = (),
    earlier: Sequence[Mapping[str, Any]] = (),
    code: bytes | None = None,
) -> int:
    """Add a study without a coordinator and return its id; for the columns see ``trials.store.models.Study``.

    Raises:
        StudyError: the name is taken or not allowed.
    """
    check_name_free(connection, name)
    row = {
        "name": name,
        "group": group,
        "role": role,
        "state": "interrupted",
        "plan": plan,
        "limits": limits,
        "objectives": objectives,
        "environment": environment,
        "seed": seed,
        "regime": regime,
        "beside": beside,
        "original": original,
        "totals": {},
        "is_prepared": is_prepared,
        "enqueued": [dict(choices) for choices in enqueued],
        "earlier": [dict(study) for study in earlier],
        "code": code,
        "lease_epoch": 0,
    }
    statement = insert(STUDIES).values(created_at=Clock(), **row).returning(STUDIES.c.id)
    try:
        return int(connection.execute(statement).scalar_one())
    except IntegrityError:
        raise _taken(name) from None


def create_group(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add studies, all or none; each row has the arguments of ``create_study``.

    Raises:
        StudyError: a name is taken or not allowed.
    """
    for row in rows:
        create_study(connection, **row)


def check_name_free(connection: Connection, name: str) -> None:
    """Raise StudyError if the name is taken or not allowed."""
    check_name(name)
    if connection.execute(select(STUDIES.c.id).where(STUDIES.c.name == name)).one_or_none():
        raise _taken(name)


def finish_preparing(
    connection: Connection, study_id: int, limits: Mapping[str, Any], environment: Mapping[str, Any]
) -> None:
    """Store the limits and environment that the preparation of a study determined."""
    values = {"limits": dict(limits), "environment": dict(environment), "is_prepared": True}
    connection.execute(update(STUDIES).where(STUDIES.c.id == study_id).values(**values))


def extend_study(
    connection: Connection,
    lease: Lease,
    plan: Mapping[str, Any],
    limits: Mapping[str, Any],
    broken: Mapping[int, str],
) -> None:
    """Replace a study's plan and limits, keep the old ones, and reject candidates that violate the new limits.

    ``broken``: number of a candidate that becomes infeasible → reason. The study is left interrupted, without a lease.

    Raises:
        StudyError: another coordinator has taken the lease.
    """
    check_lease(connection, lease)
    ours = STUDIES.c.id == lease.study_id
    old = connection.execute(select(STUDIES.c.plan, STUDIES.c.limits, STUDIES.c.history).where(ours)).one()
    now = connection.execute(select(Clock())).scalar_one()
    history = [*(old.history or []), {"until": now.isoformat(), "plan": old.plan, "limits": old.limits}]
    left = {"state": "interrupted", "finished_at": None, "lease_owner": None, "lease_expires_at": None}
    new = {"plan": dict(plan), "limits": dict(limits), "history": history, **left}
    connection.execute(update(STUDIES).where(ours).values(**new))
    for number, reason in broken.items():
        judged = update(CANDIDATES).where(
            CANDIDATES.c.study_id == lease.study_id,
            CANDIDATES.c.number == number,
            CANDIDATES.c.state.in_(("complete", "measured_only", "paused")),
        )
        connection.execute(judged.values(state="infeasible", reason=reason))


def enqueue(connection: Connection, study_id: int, choices: Mapping[str, Any]) -> None:
    """Add a candidate to those that the study proposes first; nobody needs its lease for this."""
    ours = STUDIES.c.id == study_id
    before = connection.execute(select(STUDIES.c.enqueued).where(ours).with_for_update()).scalar_one()
    connection.execute(update(STUDIES).where(ours).values(enqueued=[*(before or []), dict(choices)]))


def remove_study(connection: Connection, name: str) -> None:
    """Remove a study; the database removes all of its rows. The caller removes its files.

    Raises:
        UnknownNameError: the study does not exist.
        StudyError: a live coordinator holds its lease.
    """
    row = study_row(connection, name)
    if is_held(connection, row.id):
        raise StudyError(f"study {name!r} is being run by {row.lease_owner}; end that process, then delete the study")
    connection.execute(delete(STUDIES).where(STUDIES.c.id == row.id))


def prune_architectures(connection: Connection) -> int:
    """Remove architectures that no study uses, except those just being proposed; return how many."""
    used = exists().where(CANDIDATES.c.architecture_id == ARCHITECTURES.c.id)
    free = select(ARCHITECTURES.c.id).where(~used).with_for_update(skip_locked=True)
    return connection.execute(delete(ARCHITECTURES).where(ARCHITECTURES.c.id.in_(free))).rowcount


def set_limits(connection: Connection, lease: Lease, limits: Mapping[str, Any]) -> None:
    """Replace the limits, once those relative to the original are resolved to numbers.

    Raises:
        StudyError: another coordinator has taken the lease.
    """
    check_lease(connection, lease)
    connection.execute(update(STUDIES).where(STUDIES.c.id == lease.study_id).values(limits=dict(limits)))


def _taken(name: str) -> StudyError:
    return StudyError(
        f"a study {name!r} exists; continue it with `nas resume {name}`, or name this one differently with --name "
        "(in Python: open_study(…).resume(), or name=…)"
    )
