"""The lease of a study: it has one live coordinator at most, and writes of a former one are refused.

Times are those of the database, so that machines with different clocks agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, null, select, update

from nas.errors import StudyError
from trials.store.dialect import Clock, table, text_of
from trials.store.models import Study
from trials.store.owners import is_gone
from trials.store.records import Lease

STUDIES = table(Study)
_EXPIRES = Clock(bindparam("ttl_s"))
_FIND = select(
    STUDIES.c.name,
    STUDIES.c.lease_owner,
    STUDIES.c.lease_since,
    STUDIES.c.lease_expires_at,
    STUDIES.c.lease_epoch,
    Clock().label("clock"),
).where(STUDIES.c.id == bindparam("study"))
_TAKE = (
    update(STUDIES)
    .where(STUDIES.c.id == bindparam("study"), STUDIES.c.lease_epoch == bindparam("before"))
    .values(
        lease_owner=bindparam("owner"),
        lease_epoch=STUDIES.c.lease_epoch + 1,
        lease_since=Clock(),
        lease_expires_at=_EXPIRES,
        state=bindparam("now"),
        finished_at=None,
        error=None,
        phase=None,
        request=case((STUDIES.c.lease_owner == bindparam("owner"), STUDIES.c.request), else_=null()),
    )
)
_HELD = update(STUDIES).where(
    STUDIES.c.id == bindparam("study"),
    STUDIES.c.lease_epoch == bindparam("epoch"),
    STUDIES.c.lease_owner.is_not(None),
)
_KEEP = _HELD.values(totals=bindparam("spent"))
_SAY = _HELD.values(phase=bindparam("doing"), lease_expires_at=_EXPIRES)
_HELD_IN = "lease, and the transaction that holds it"
_RENEW = _SAY.values(totals=bindparam("spent"))
#: Locks the row until the transaction ends, so that nobody takes the lease between the check and the write.
_HOLD = (
    select(STUDIES.c.name, STUDIES.c.lease_epoch, STUDIES.c.lease_owner)
    .where(STUDIES.c.id == bindparam("study"))
    .with_for_update(read=True)
)


def acquire_lease(connection: Connection, study_id: int, owner: str, ttl_s: float, *, state: str = "running") -> Lease:
    """Take the lease to prepare or run the study; its epoch is one higher than the last.

    Raises:
        StudyError: another live coordinator holds it.
    """
    found = check_lease_free(connection, study_id, owner)
    before = found.lease_epoch
    values = {"study": study_id, "before": before, "owner": owner, "ttl_s": ttl_s, "now": state}
    taken = connection.execute(_TAKE, values)
    if taken.rowcount != 1:
        raise StudyError(f"study {found.name!r} was just taken by another coordinator; see `nas status`")
    return Lease(study_id, int(before) + 1)


def check_lease_free(connection: Connection, study_id: int, owner: str) -> Row[Any]:
    """The columns of the study's lease; raises StudyError if another live coordinator holds it."""
    found = _find(connection, study_id)
    if found.lease_owner != owner and _is_alive(found):
        raise StudyError(
            f"study {found.name!r} has been run by {found.lease_owner} since "
            f"{found.lease_since:%Y-%m-%d %H:%M:%S} UTC; wait until it has ended, or end that process"
        )
    return found


def renew_lease(
    connection: Connection, lease: Lease, ttl_s: float, totals: Mapping[str, float], phase: str | None = None
) -> bool:
    """Extend the lease, store totals and phase; False if another coordinator has taken the lease."""
    values = {**_key(lease), "ttl_s": ttl_s, "spent": dict(totals), "doing": phase}
    return connection.execute(_RENEW, values).rowcount == 1


def set_phase(connection: Connection, lease: Lease, phase: str, ttl_s: float) -> None:
    """Extend the lease and store what the coordinator is doing.

    Raises:
        StudyError: another coordinator has taken the lease.
    """
    if connection.execute(_SAY, {**_key(lease), "ttl_s": ttl_s, "doing": phase}).rowcount != 1:
        check_lease(connection, lease)


def keep_totals(connection: Connection, lease: Lease, totals: Mapping[str, float]) -> None:
    """Store the totals of a study.

    Raises:
        StudyError: another coordinator has taken the lease.
    """
    if connection.execute(_KEEP, {**_key(lease), "spent": dict(totals)}).rowcount != 1:
        check_lease(connection, lease)
    _hold(connection, lease)


def release_lease(
    connection: Connection, lease: Lease, state: str, totals: Mapping[str, float], error: str | None = None
) -> None:
    """Give the lease back and store the state of the study.

    Raises:
        StudyError: another coordinator has taken the lease.
    """
    check_lease(connection, lease)
    connection.execute(
        update(STUDIES)
        .where(STUDIES.c.id == lease.study_id)
        .values(
            state=state,
            totals=dict(totals),
            error=text_of(error),
            lease_owner=None,
            lease_since=None,
            lease_expires_at=None,
            phase=None,
            request=None,
            finished_at=None if state in ("interrupted", "paused") else Clock(),
        )
    )


def check_lease(connection: Connection, lease: Lease) -> None:
    """Raise StudyError unless the lease is current; nobody can take it before the transaction ends."""
    if connection.info.get(_HELD_IN) == (lease, connection.get_transaction()):
        return
    found = connection.execute(_HOLD, {"study": lease.study_id}).one_or_none()
    if found is None:
        raise StudyError("the study was deleted; this coordinator ends without writing")
    if found.lease_epoch != lease.epoch or found.lease_owner is None:
        raise StudyError(f"another coordinator took over study {found.name!r}; this one ends without writing")
    _hold(connection, lease)


def _hold(connection: Connection, lease: Lease) -> None:
    """Note that the row is locked until the transaction ends, so that one check is enough for all of its writes."""
    connection.info[_HELD_IN] = lease, connection.get_transaction()


def is_held(connection: Connection, study_id: int) -> bool:
    """Whether a live process prepares or runs a study."""
    return _is_alive(_find(connection, study_id))


def _key(lease: Lease) -> dict[str, int]:
    return {"study": lease.study_id, "epoch": lease.epoch}


def _find(connection: Connection, study_id: int) -> Row[Any]:
    return connection.execute(_FIND, {"study": study_id}).one()


def _is_alive(found: Row[Any]) -> bool:
    clock: datetime = found.clock
    if found.lease_owner is None or found.lease_expires_at < clock:
        return False
    # On the same machine, checking the process avoids waiting until the lease expires.
    return not is_gone(str(found.lease_owner))
