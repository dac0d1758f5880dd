"""Places for workers on a cluster: how long they are waited for, and what is said meanwhile."""

from __future__ import annotations

import logging
import time
from typing import Any

from nas.errors import ClusterError
from trials.executors import Pool

log = logging.getLogger(__name__)

#: When a missing place is told first, and seconds until it is told again.
FIRST_S = 15.0
AGAIN_S = 120.0


class Reservation:
    """The places for the workers of a pool that needs a certain node; no other worker can take them."""

    def __init__(self, ray: Any, pool: Pool) -> None:
        self._ray, self._pool = ray, pool
        self._ready = False
        self._reserve()

    def is_ready(self, wait_s: float) -> bool:
        """Whether there are the places, waiting for it so long. What is asked for follows what the nodes offer."""
        if not self._ready and needs(self._ray, self._pool) != self._requested:
            from ray.util.placement_group import remove_placement_group

            remove_placement_group(self._group)
            self._reserve()
        self._ready = self._ready or bool(self._ray.wait([self._answer], timeout=wait_s)[0])
        return self._ready

    def options(self) -> dict[str, Any]:
        """How an actor is started in it."""
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        strategy = PlacementGroupSchedulingStrategy(self._group)
        return {"num_cpus": self._requested.get("CPU", 0), "scheduling_strategy": strategy}

    def _reserve(self) -> None:
        from ray.util.placement_group import placement_group

        self._requested = needs(self._ray, self._pool)
        self._group = placement_group([self._requested] * self._pool.size)
        self._answer = self._group.ready()


class Waiting:
    """How long the workers of one pool have had no place while there were jobs for them."""

    def __init__(self, ray: Any, pool: Pool) -> None:
        self._ray, self._pool = ray, pool
        self._since: float | None = None
        self._told_at_s = 0.0

    def note(self, *, missing: bool) -> None:
        """Note whether every worker of the pool is without a place and one is wanted.

        Raises:
            ClusterError: that has lasted for longer than the pool's limit.
        """
        if not missing:
            self._since, self._told_at_s = None, 0.0
            return
        self._since = time.monotonic() if self._since is None else self._since
        waited_s = time.monotonic() - self._since
        if waited_s > self._pool.wait_s:
            raise ClusterError(f"{shortage(self._ray, self._pool)}; none came within {self._pool.wait_s:g} s")
        if waited_s > FIRST_S and waited_s - self._told_at_s > (AGAIN_S if self._told_at_s else 0):
            self._told_at_s = waited_s
            left_s = self._pool.wait_s - waited_s
            log.warning("%s; waiting for %.0f s more", shortage(self._ray, self._pool), left_s)


def shortage(ray: Any, pool: Pool) -> str:
    """What a pool's worker asks for, what the cluster's nodes offer, and what to change."""
    nodes = [node for node in ray.nodes() if node["Alive"]]
    requested = needs(ray, pool)
    offers = "; ".join(f"{node['NodeManagerAddress']}: {_listed(_plain(node['Resources']))}" for node in nodes)
    fits = any(all(node["Resources"].get(name, 0) >= amount for name, amount in requested.items()) for node in nodes)
    change = "end what else runs on the cluster, or add a node" if fits else _start_a_node(requested)
    return (
        f"no node of the cluster has a free place for a worker of pool {pool.name!r} ({_listed(requested)}); the nodes "
        f"offer {offers or 'nothing'}; {change}"
    )


def needs(ray: Any, pool: Pool) -> dict[str, float]:
    """The Ray resources of a worker. A node with a target's resource and fewer CPUs than asked for lends all it has."""
    cpus = pool.cpus
    if pool.resources:
        lent = [
            node["Resources"].get("CPU", 0.0)
            for node in ray.nodes()
            if node["Alive"] and all(node["Resources"].get(name, 0) >= pool.resources[name] for name in pool.resources)
        ]
        cpus = min(cpus, max(lent, default=cpus))
    requested = {"CPU": cpus, "GPU": pool.gpus, **pool.resources}
    return {name: amount for name, amount in requested.items() if amount}


def _start_a_node(requested: dict[str, float]) -> str:
    own = {name: amount for name, amount in requested.items() if name not in ("CPU", "GPU")}
    options = [f"--num-cpus={requested['CPU']:g}"] if "CPU" in requested else []
    options += [f"--num-gpus={requested['GPU']:g}"] if "GPU" in requested else []
    options += ["--resources='{" + ", ".join(f'"{name}": {amount:g}' for name, amount in own.items()) + "}'"] * bool(
        own
    )
    return f"start one that has: ray start --address=HEAD:PORT {' '.join(options)}, or ask for less in the plan"


def _plain(resources: dict[str, float]) -> dict[str, float]:
    """Without what every node has of Ray's own."""
    return {name: value for name, value in resources.items() if name in ("CPU", "GPU") or name.startswith("target:")}


def _listed(resources: dict[str, float]) -> str:
    return ", ".join(f"{name} {amount:g}" for name, amount in resources.items()) or "nothing"
