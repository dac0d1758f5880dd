from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from trials.executors import Pool
from trials.executors.cluster.places import lacking


def ray(*resources: dict[str, float]) -> Any:
    """Nodes as Ray lists them."""
    nodes = [{"NodeManagerAddress": f"10.0.0.{number}", "Resources": each} for number, each in enumerate(resources)]
    return SimpleNamespace(nodes=lambda: [node | {"Alive": True} for node in nodes])


def test_a_worker_needs_one_node_with_all_that_it_asks_for() -> None:
    pool = Pool("train", 2, cpus=4, gpus=1, memory_bytes=8_000_000_000)
    small = {"CPU": 8.0, "memory": 16e9, "node:10.0.0.0": 1.0}
    assert lacking(ray(small, {"CPU": 4.0, "GPU": 1.0, "memory": 8e9}), pool) is None
    message = lacking(ray(small, {"CPU": 4.0, "GPU": 1.0, "memory": 4e9}), pool)
    assert message == (
        "no node of the cluster has room for a worker of pool 'train', which needs CPU 4, GPU 1, memory 8,000 MB; the "
        "nodes have 10.0.0.0: CPU 8, memory 16,000 MB; 10.0.0.1: CPU 4, GPU 1, memory 4,000 MB; start such a node: ray "
        "start --address=HEAD:PORT --num-cpus=4 --num-gpus=1 --memory=8000000000, or lower the resources in the plan"
    )
