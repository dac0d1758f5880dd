"""What a cluster has, in use or not, and what the workers of pools take of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trials.executors import Cluster, Pool
from trials.executors.cluster.places import needs
from trials.executors.cluster.vigil import Vigil

#: The resource that only the head of a cluster has.
HEAD = "node:__internal_head__"


class Capacity:
    """Looks at the connected cluster; while it does not answer, the last look counts, because Ray would wait."""

    def __init__(self, ray: Any, vigil: Vigil, pools: Mapping[str, Pool]) -> None:
        self._ray, self._vigil, self._pools = ray, vigil, pools
        self._last: Cluster | None = None

    def cluster(self) -> Cluster:
        """Return the cluster with its nodes of now."""
        if self._last is None or self._vigil.answers:
            self._last = self._look()
        return self._last

    def _look(self) -> Cluster:
        nodes = [node for node in self._ray.nodes() if node["Alive"]]
        # Two clusters may have the same address, such as that of the own machine, but each has a head of its own.
        head = next(node["NodeID"] for node in nodes if HEAD in node["Resources"])
        taken = {name: (pool.size, needs(self._ray, pool)) for name, pool in self._pools.items()}
        return Cluster(head, [dict(node["Resources"]) for node in nodes], taken)
