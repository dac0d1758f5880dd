"""Pause and stop studies from any machine that reaches their database."""

from __future__ import annotations

import time

from nas.errors import StudyError
from trials.coordinator.coordinator import LEASE_S
from trials.jobs.environment import owner
from trials.launch.preparing import ENDED_BY
from trials.store.models import Study
from trials.store.read.rows import study_row
from trials.store.read.states import LIVE
from trials.store.records import ENDED
from trials.store.store import Store
from trials.store.write.leases import acquire_lease, is_held, release_lease
from trials.store.write.requests import Request, add_request, stop_candidates

#: Seconds to wait for a coordinator to react; one that proposes a candidate may take a while.
REACTS_S = 120.0
_POLL_S = 0.3


def pause(store: Store, name: str) -> None:
    """Pause a study that runs, and return once its coordinator has released it and its workers.

    Raises:
        UnknownNameError: the database has no such study.
        StudyError: no live coordinator runs the study, or it did not react.
    """
    row = _writable_row(store, name)
    if not store.read(is_held, row.id):
        state = "interrupted" if row.state in LIVE else row.state
        raise StudyError(f"study {name!r} is {state}, and no process runs it, so there is nothing to pause")
    _ask(store, row, "pause")


def stop(store: Store, name: str) -> None:
    """End a study with the results it has; candidates under way are recorded as stopped.

    Raises:
        UnknownNameError: the database has no such study.
        StudyError: the study has ended, or its coordinator did not react.
    """
    row = _writable_row(store, name)
    if row.state in ENDED:
        raise StudyError(f"study {name!r} is {row.state} already; there is nothing to stop")
    if store.read(is_held, row.id):
        _ask(store, row, "stop")
        return
    lease = store.write(acquire_lease, row.id, owner(), LEASE_S)
    store.write(stop_candidates, lease, "the study was stopped")
    store.write(release_lease, lease, "stopped", row.totals)


def _writable_row(store: Store, name: str) -> Study:
    store.check_writable()
    return store.read(study_row, name)


def _ask(store: Store, row: Study, request: Request) -> None:
    """Store a request, and wait until the coordinator has reacted."""
    store.write(add_request, row.id, request)
    deadline = time.monotonic() + REACTS_S
    while time.monotonic() < deadline:
        held = store.read(is_held, row.id)  # before the row, which shows whether a lease that is not held was released
        now = store.read(study_row, row.name)
        if now.lease_owner is None and now.state == ENDED_BY[request]:
            return
        if now.lease_owner is None:
            raise StudyError(f"study {row.name!r} ended before it could {request}: it is {now.state}")
        if not held:
            raise StudyError(
                f"{now.lease_owner}, which ran study {row.name!r}, died; all committed results are kept, and "
                f"nas resume {row.name} continues the study"
            )
        time.sleep(_POLL_S)
    raise StudyError(
        f"{row.lease_owner} has not reacted within {REACTS_S:.0f} s; it will {request} study {row.name!r} as soon as "
        f"it does: see nas status {row.name}"
    )
