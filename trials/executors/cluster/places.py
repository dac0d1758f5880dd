"""Room for workers on a cluster: reserve it, wait for it, and report what is missing."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from typing import Any

from nas.errors import ClusterError
from trials.executors import Pool

log = logging.getLogger(__name__)

#: Seconds until a lack of room is first logged, and until it is logged again.
FIRST_S = 15.0
AGAIN_S = 120.0
#: Longest time to wait for a node that the cluster does not have, if the pool has no limit.
ABSENT_S = 300.0
#: CPUs that a worker of a target leaves of those that it needs: fewer than a training takes, but enough for workers of
#: the same target in other studies.
LEFT_CPUS = 0.99


class Reservation:
    """A reservation of room for the workers of a pool that needs a certain node; no other worker can use it."""

    def __init__(self, ray: Any, pool: Pool) -> None:
        self._ray, self._pool = ray, pool
        self._ready = False
        self._reserve()

    def is_ready(self, wait_s: float) -> bool:
        """Whether the room is reserved, after waiting up to ``wait_s``; the request follows the nodes' resources."""
        if not self._ready and needs(self._ray, self._pool) != self._requested:
            from ray.util.placement_group import remove_placement_group

            remove_placement_group(self._group)
            self._reserve()
        self._ready = self._ready or bool(self._ray.wait([self._answer], timeout=wait_s)[0])
        return self._ready

    def options(self) -> dict[str, Any]:
        """Return Ray's options for an actor that uses the reservation."""
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        strategy = PlacementGroupSchedulingStrategy(self._group)
        return {"num_cpus": self._requested.get("CPU", 0), "scheduling_strategy": strategy}

    def _reserve(self) -> None:
        from ray.util.placement_group import placement_group

        self._requested = needs(self._ray, self._pool)
        self._group = placement_group([self._requested] * self._pool.size)
        self._answer = self._group.ready()


class Waiting:
    """Measures for how long the workers of one pool have had no room while there were jobs for them."""

    def __init__(self, ray: Any, pool: Pool) -> None:
        self._ray, self._pool = ray, pool
        self._since: float | None = None
        self._told_at_s = 0.0

    @property
    def is_long(self) -> bool:
        """Whether there has been no room for a while."""
        return bool(self._told_at_s)

    def note(self, *, missing: bool) -> None:
        """Note whether a worker of the pool is needed and none has room.

        Raises:
            ClusterError: there has been no room for longer than the pool's limit; or, if it has none, the cluster has
                had no node with room for too long, whether in use or not.
        """
        if not missing:
            self._since, self._told_at_s = None, 0.0
            return
        self._since = time.monotonic() if self._since is None else self._since
        waited_s = time.monotonic() - self._since
        if self._pool.wait_s is not None and waited_s > self._pool.wait_s:
            raise ClusterError(f"{shortage(self._ray, self._pool)}; waited for {self._pool.wait_s:g} s")
        if waited_s > FIRST_S and waited_s - self._told_at_s > (AGAIN_S if self._told_at_s else 0):
            self._told_at_s = waited_s
            self._tell(waited_s)

    def _tell(self, waited_s: float) -> None:
        message = shortage(self._ray, self._pool)
        limit_s = self._pool.wait_s
        if limit_s is None and lacking(self._ray, self._pool) is not None:
            limit_s = ABSENT_S
            if waited_s > limit_s:
                raise ClusterError(f"{message}; waited for {waited_s:.0f} s")
        log.warning("%s; waiting%s", message, "" if limit_s is None else f" for {limit_s - waited_s:.0f} s more")


def lacking(ray: Any, pool: Pool) -> str | None:
    """Return the message of ``shortage`` if no node could ever run a worker of a pool; None if one could."""
    nodes = [node for node in ray.nodes() if node["Alive"]]
    return None if _fits(nodes, needs(ray, pool)) else shortage(ray, pool)


def shortage(ray: Any, pool: Pool) -> str:
    """Return a message: what a worker of a pool needs, what the cluster's nodes have, and what to change."""
    nodes = [node for node in ray.nodes() if node["Alive"]]
    requested = needs(ray, pool)
    fits = _fits(nodes, requested)
    if pool.resources:
        requested = {name: math.ceil(amount) for name, amount in requested.items()}
    offers = "; ".join(f"{node['NodeManagerAddress']}: {_listed(_plain(node['Resources']))}" for node in nodes)
    change = "stop other work on the cluster, or add a node" if fits else _start_a_node(requested)
    return (
        f"no node of the cluster has room for a worker of pool {pool.name!r}, which needs {_listed(requested)}; the "
        f"nodes have {offers or 'nothing'}; {change}"
    )


def _fits(nodes: Sequence[Any], requested: dict[str, float]) -> bool:
    """Whether one of the nodes has all requested resources, free or not."""
    return any(all(node["Resources"].get(name, 0) >= amount for name, amount in requested.items()) for node in nodes)


def needs(ray: Any, pool: Pool) -> dict[str, float]:
    """Return the Ray resources of a worker.

    If the target's node has fewer CPUs than the pool needs, the worker needs all of them. In either case it leaves so
    little of one CPU that no training fits there.
    """
    cpus = pool.cpus
    if pool.resources:
        lent = [
            node["Resources"].get("CPU", 0.0)
            for node in ray.nodes()
            if node["Alive"] and all(node["Resources"].get(name, 0) >= pool.resources[name] for name in pool.resources)
        ]
        cpus = max(0.0, min(cpus, max(lent, default=cpus)) - LEFT_CPUS)
    requested = {"CPU": cpus, "GPU": pool.gpus, "memory": pool.memory_bytes, **pool.resources}
    return {name: amount for name, amount in requested.items() if amount}


def _start_a_node(requested: dict[str, float]) -> str:
    own = {name: amount for name, amount in requested.items() if name not in ("CPU", "GPU", "memory")}
    options = [f"--num-cpus={requested['CPU']:g}"] if "CPU" in requested else []
    options += [f"--num-gpus={requested['GPU']:g}"] if "GPU" in requested else []
    options += [f"--memory={requested['memory']:.0f}"] if "memory" in requested else []
    options += ["--resources='{" + ", ".join(f'"{name}": {amount:g}' for name, amount in own.items()) + "}'"] * bool(
        own
    )
    return f"start such a node: ray start --address=HEAD:PORT {' '.join(options)}, or lower the resources in the plan"


def _plain(resources: dict[str, float]) -> dict[str, float]:
    """Return only the resources CPU, GPU, memory and targets, without Ray's internal ones."""
    plain = ("CPU", "GPU", "memory")
    return {name: value for name, value in resources.items() if name in plain or name.startswith("target:")}


def _listed(resources: dict[str, float]) -> str:
    return ", ".join(f"{name} {_amount(name, value)}" for name, value in resources.items()) or "nothing"


def _amount(name: str, value: float) -> str:
    return f"{value / 1e6:,.0f} MB" if name == "memory" else f"{value:g}"
