from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from nas.errors import ClusterError
from nas.latency.targets import TargetSpec
from trials.executors import Pool
from trials.executors.cluster import places
from trials.executors.cluster.places import Waiting, lacking, needs
from trials.plans.pools import measuring_pool


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


@pytest.mark.parametrize(("threads", "cpus", "taken"), [(1, 8, 0.01), (4, 8, 3.01), (4, 2, 1.01), (4, 0, 0.0)])
def test_a_measuring_worker_leaves_no_room_for_a_training_but_for_other_studies(
    threads: int, cpus: float, taken: float
) -> None:
    pool = measuring_pool(TargetSpec("pi", threads=threads), local=False)
    offered = ray({"CPU": cpus, "target:pi": 1.0}, {"CPU": 64.0})
    assert needs(offered, pool) == pytest.approx({"target:pi": 0.01} | ({"CPU": taken} if taken else {}))
    assert lacking(offered, pool) is None
    message = lacking(ray({"CPU": 64.0}), pool)
    assert message is not None
    assert f"which needs CPU {threads}, target:pi 1;" in message


@pytest.mark.parametrize(("limit_s", "cpus", "waits"), [(None, 4.0, True), (None, 2.0, False), (0.1, 4.0, False)])
def test_a_pool_waits_for_room_that_others_use_but_not_for_a_node_that_is_not_there(
    limit_s: float | None, cpus: float, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "FIRST_S", 0.1)
    monkeypatch.setattr(places, "ABSENT_S", 0.0)
    waiting = Waiting(ray({"CPU": cpus}), Pool("train", 1, cpus=4, wait_s=limit_s))
    waiting.note(missing=True)
    assert not waiting.is_long
    time.sleep(0.11)
    if waits:
        waiting.note(missing=True)
        assert waiting.is_long
    else:
        with pytest.raises(ClusterError, match="no node of the cluster has room for a worker of pool 'train'"):
            waiting.note(missing=True)
