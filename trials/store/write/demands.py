"""What studies could use of a cluster: each coordinator stores this once, and all others of the cluster read it."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import Connection, update

from trials.store.dialect import table
from trials.store.models import Study
from trials.store.records import Demand, Lease
from trials.store.write.leases import check_lease

STUDIES = table(Study)


def set_demand(connection: Connection, lease: Lease, demand: Demand | None) -> None:
    """Store what a study could use of its cluster; None if it shares no cluster.

    Raises:
        StudyError: another coordinator has taken the lease.
    """
    check_lease(connection, lease)
    stored = None if demand is None else asdict(demand)
    connection.execute(update(STUDIES).where(STUDIES.c.id == lease.study_id).values(demand=stored))
