"""Two studies share a full Ray cluster: the second one gets its share while the first one runs, and gives it back."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.ray_nodes import NAS, Cluster, nas, ray_cluster, said, wait_until

#: Seconds for which steps of trainings are counted; longer than a step takes on a busy machine.
WINDOW_S = 4.0
MEASURE = {"precision": 0.5, "budget_s": 0.2, "canary_every": 0, "audit": 0}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    # Beside the measuring workers, four trainings find room.
    with ray_cluster("--include-dashboard=false", "--num-cpus=5", '--resources={"target:local": 1}') as cluster:
        yield cluster


@contextmanager
def study(cluster: Cluster, url: str, path: Path, name: str, log: Path, *options: str) -> Iterator[None]:
    """A study that runs until it is stopped at the latest at the end of this block."""
    log.touch()
    command = [NAS, "search", str(path), f"task.log={log}", "--name", name, "--address", cluster.address, *options]
    with (log.parent / f"{name}.txt").open("w") as output:
        running = subprocess.Popen([*command, "--storage", url], env=cluster.environment, stdout=output, stderr=output)
    try:
        yield
    finally:
        nas(cluster, "stop", name, "--storage", url)
        running.terminate()
        running.wait(120)


def num_running(*logs: Path) -> list[int]:
    """Number of processes that train for each log at this time."""
    before = [log.stat().st_size for log in logs]
    time.sleep(WINDOW_S)
    counts = [len(set(log.read_bytes()[size:].split())) for log, size in zip(logs, before, strict=True)]
    print(f"{time.strftime('%X')} running trainings: {counts}", flush=True)
    return counts


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("priority", "shares"), [(1, [2, 2]), (3, [3, 1])])
def test_a_second_study_gets_its_share_of_a_full_cluster(
    cluster: Cluster, url: str, cluster_plan: Callable[..., Path], tmp_path: Path, priority: int, shares: list[int]
) -> None:
    task: dict[str, Any] = {"name": "logged_task:LoggedDigits", "step_s": 0.2, "log": "replaced"}
    path = cluster_plan(task=task, concurrency=4, measure=MEASURE)
    first, second = tmp_path / "first", tmp_path / "second"
    with ExitStack() as studies:
        studies.enter_context(study(cluster, url, path, "first", first, f"priority={priority}"))
        second.touch()
        wait_until(lambda: num_running(first, second) == [4, 0])
        with study(cluster, url, path, "second", second, "seed=1"):
            wait_until(lambda: num_running(first, second) == shares)
            status = said(nas(cluster, "status", "first", "--storage", url))
            assert f"{shares[0]} of 4 training workers (priority {priority}), beside second (priority 1)" in status
            for _ in range(4):
                counts = num_running(first, second)
                assert all(count <= share for count, share in zip(counts, shares, strict=True)), counts
        wait_until(lambda: num_running(first, second) == [4, 0])
