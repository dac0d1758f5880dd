"""The share of one study of a cluster: how many of its training workers it may have beside the other studies."""

from __future__ import annotations

from collections.abc import Mapping

from trials.coordinator.context import CoordinatorContext
from trials.coordinator.shares import shares
from trials.coordinator.study_log import events
from trials.executors import TRAIN_POOL
from trials.store.read.sharing import demands_on
from trials.store.records import Demand
from trials.store.write.demands import set_demand

#: Number of other studies to name.
MOST_NAMES = 3


class Share:
    """Sizes the pool of trainings by what all studies of this database on this cluster ask for.

    Attributes:
        phase: how many training workers the study may have, in words; empty if it may have all of them.
    """

    def __init__(self, context: CoordinatorContext) -> None:
        self._context = context
        self._demand: Demand | None = None
        self.phase = ""

    def begin(self) -> None:
        """Tell the other coordinators what this study could use, and take its share."""
        cluster = self._context.executor.cluster()
        if cluster is not None:
            trainings, each = cluster.pools[TRAIN_POOL]
            measuring = [needs for name, (_, needs) in cluster.pools.items() if name != TRAIN_POOL]
            priority = self._context.assignment.problem.plan.priority
            self._demand = Demand(cluster.id, priority, trainings, each, measuring)
        self._context.store.write(set_demand, self._context.assignment.lease, self._demand)
        self.renew()

    def renew(self) -> None:
        """Follow the studies that began or ended, and the nodes that joined or left; call this every few seconds."""
        if self._demand is None:
            return
        others = dict(self._context.store.read(demands_on, self._demand.cluster))
        name = self._context.assignment.name
        cluster = self._context.executor.cluster() if len(others) > 1 and name in others else None
        size = self._demand.trainings if cluster is None else shares(cluster.nodes, others)[name]
        self._context.executor.resize(TRAIN_POOL, size)
        others.pop(name, None)
        phase = "" if size == self._demand.trainings else _words(size, self._demand, others)
        if phase != self.phase:
            events.info("%s", phase or f"all {size} training workers may run")
            self.phase = phase


def _words(size: int, demand: Demand, others: Mapping[str, Demand]) -> str:
    named = [f"{name} (priority {other.priority:g})" for name, other in others.items()]
    more = [f"{len(named) - MOST_NAMES} more"] * (len(named) > MOST_NAMES)
    beside = ", ".join(named[:MOST_NAMES] + more)
    return f"{size} of {demand.trainings} training workers (priority {demand.priority:g}), beside {beside}"
