"""The coordinator's lease: one live coordinator a study, and writes of a former one refused.

Times are the database's, so that machines with different clocks agree.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from nas.errors import StudyError
from trials.store.models import Study, Utc


def now(session: Session) -> datetime:
    """The database's clock."""
    if session.get_bind().dialect.name == "sqlite":
        value = session.scalar(text("SELECT strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')"))
        return datetime.fromisoformat(str(value))
    found = session.scalar(select(func.clock_timestamp(type_=Utc())))
    assert found is not None
    return found


def acquire(session: Session, study_id: int, owner: str, ttl_s: float) -> int:
    """Take the lease; its epoch, one more than the last."""
    study = check_free(session, study_id, owner)
    before = study.lease_epoch
    taken = session.execute(
        update(Study)
        .where(Study.id == study_id, Study.lease_epoch == before)
        .values(
            lease_owner=owner,
            lease_epoch=before + 1,
            lease_expires_at=now(session) + timedelta(seconds=ttl_s),
            state="running",
            finished_at=None,
            error=None,
        )
        .execution_options(synchronize_session=False)
    )
    if taken.rowcount != 1:  # type: ignore[attr-defined]
        raise StudyError(f"study {study.name!r} was just taken by another coordinator")
    return before + 1


def check_free(session: Session, study_id: int, owner: str) -> Study:
    """The study; StudyError if another live coordinator holds it."""
    study = session.get_one(Study, study_id)
    if study.lease_owner and study.lease_owner != owner and _alive(study, now(session)):
        raise StudyError(
            f"study {study.name!r} is being coordinated by {study.lease_owner} (lease until "
            f"{study.lease_expires_at:%H:%M:%S} UTC); wait for it, or stop it"
        )
    return study


def renew(session: Session, study_id: int, epoch: int, ttl_s: float) -> bool:
    """Extend the lease."""
    done = session.execute(
        update(Study)
        .where(Study.id == study_id, Study.lease_epoch == epoch, Study.lease_owner.is_not(None))
        .values(lease_expires_at=now(session) + timedelta(seconds=ttl_s))
        .execution_options(synchronize_session=False)
    )
    return bool(done.rowcount == 1)  # type: ignore[attr-defined]


def release(
    session: Session, study_id: int, epoch: int, state: str, totals: Mapping[str, float], error: str | None
) -> None:
    """End coordinating."""
    check(session, study_id, epoch)
    session.execute(
        update(Study)
        .where(Study.id == study_id)
        .values(
            state=state,
            totals=dict(totals),
            error=error,
            lease_owner=None,
            lease_expires_at=None,
            finished_at=now(session) if state != "interrupted" else None,
        )
        .execution_options(synchronize_session=False)
    )


def check(session: Session, study_id: int, epoch: int) -> None:
    """Raise StudyError unless ``epoch`` is the current lease; holds the row until the transaction ends."""
    row = session.execute(
        select(Study.lease_epoch, Study.name).where(Study.id == study_id).with_for_update(read=True)
    ).one()
    if row.lease_epoch != epoch:
        raise StudyError(f"another coordinator took over study {row.name!r}; this one ends without writing")


def is_held(session: Session, study_id: int) -> bool:
    """Whether a live coordinator holds the study."""
    study = session.get_one(Study, study_id)
    return bool(study.lease_owner) and _alive(study, now(session))


def _alive(study: Study, clock: datetime) -> bool:
    if study.lease_expires_at is None or study.lease_expires_at < clock:
        return False
    host, pid, start = (study.lease_owner or "").rsplit(":", 2)
    if host != socket.gethostname():
        return True
    # On this machine a look at the process is quicker than waiting for the lease to end.
    try:
        os.kill(int(pid), 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19] == start
    except (ProcessLookupError, FileNotFoundError):
        return False
    except (PermissionError, ValueError):
        return True
