"""Read which studies use a target or a cluster at the moment."""

from __future__ import annotations

from sqlalchemy import Connection, select

from trials.store.dialect import Clock, table
from trials.store.models import Study
from trials.store.read.states import LIVE
from trials.store.records import Demand

STUDIES = table(Study)


def studies_on(connection: Connection, target: str, but: int) -> list[str]:
    """Names of the live studies whose plan has a target, oldest first, without the study with id ``but``."""
    live = (
        select(STUDIES.c.name, STUDIES.c.plan)
        .where(STUDIES.c.state.in_(LIVE), STUDIES.c.lease_expires_at >= Clock(), STUDIES.c.id != but)
        .order_by(STUDIES.c.id)
    )
    return [
        name
        for name, plan in connection.execute(live)
        if target in [spec.get("name") for spec in plan.get("targets", [])]
    ]


def demands_on(connection: Connection, cluster: str) -> dict[str, Demand]:
    """Name → demand of the studies that coordinators run on a cluster, oldest study first."""
    run = (
        select(STUDIES.c.name, STUDIES.c.demand)
        .where(STUDIES.c.state == "running", STUDIES.c.lease_expires_at >= Clock())
        .order_by(STUDIES.c.id)
    )
    return {
        name: Demand(**demand)
        for name, demand in connection.execute(run)
        if demand is not None and demand["cluster"] == cluster
    }
