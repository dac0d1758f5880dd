"""States of studies as they are shown.

A study whose coordinator died without releasing it counts as interrupted. One that no coordinator has taken yet waits,
because the studies of a group run one after the other.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, case

from trials.store.dialect import Clock
from trials.store.models import Study

#: States of a study that is being prepared or runs, so that what it shows changes.
LIVE = ("preparing", "running")


def is_abandoned() -> ColumnElement[bool]:
    """Whether a study is stored as live, and its coordinator has not renewed the lease in time."""
    return and_(Study.state.in_(LIVE), Study.lease_expires_at < Clock())


def present_state() -> ColumnElement[str]:
    """The state of a study to show, and to filter by."""
    waits = and_(Study.state == "interrupted", Study.lease_epoch == 0)
    return case((is_abandoned(), "interrupted"), (waits, "waiting"), else_=Study.state)
