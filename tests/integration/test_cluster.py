"""A cluster of two nodes on this machine, with a token: code from the user's own folder runs on both nodes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.ray_nodes import Cluster, ray_cluster

#: Runs as a process of its own, because Ray reads its token settings once and knows one cluster at a time.
COORDINATOR = """
import json, sys
from pathlib import Path
from trials.executors import EXECUTORS, Job, Pool

name, address, code, go = sys.argv[1:]
board = Pool("target:board", 1, cpus=0, resources={"target:board": 1})
pools = [Pool("train", 2, cpus=1, resources={"trainer": 1}), board]
executor = EXECUTORS.get(name)(pools, code=[code], address=address)
jobs = [Job("a", "mine.jobs:where", {"until": go}, "train"), Job("b", "mine.jobs:where", {"until": go}, "train")]
jobs.append(Job("c", "mine.jobs:where", {"until": go}, "target:board"))
for job in jobs:
    executor.submit(job)
events = []
while {event.key for event in events} != {"a", "b", "c"}:
    events += executor.poll(5)
print(json.dumps([event.value["pid"] for event in events]), file=sys.stderr, flush=True)
while sum(event.kind != "progress" for event in events) < 3:
    Path(go).touch() if Path(go).parent.exists() else None
    events += executor.poll(5)
ended = {event.key: event.value or event.error for event in events if event.kind != "progress"}
executor.close()
print(json.dumps(ended), file=sys.stderr, flush=True)
"""

#: First more trainers than free places: they must not take the place of the target. Then a target that no node offers.
CROWDED = """
import json, sys
from nas.errors import PlaceError
from trials.executors import EXECUTORS, Job, Pool

name, address, code, go = sys.argv[1:]
board = Pool("target:board", 1, cpus=2, resources={"target:board": 1})
nowhere = Pool("target:nowhere", 1, resources={"target:nowhere": 1}, wait_s=4)
executor = EXECUTORS.get(name)([Pool("train", 3), board], code=[code], address=address)
events, number = [], 0
while {pool for pool, _ in events} != {"train", "target:board"} or number < 3:
    for pool in ("train", "target:board"):
        if executor.free(pool) and number < 6:
            executor.submit(Job(f"{pool}.{number}", "mine.jobs:where", {"until": "/"}, pool))
            number += 1
    events += [(event.key.split(".")[0], event.value["node"]) for event in executor.poll(1) if event.kind == "done"]
executor.close()
try:
    executor = EXECUTORS.get(name)([nowhere], address=address)
    executor.free("target:nowhere")
    while True:
        executor.poll(10)
except PlaceError as error:
    executor.close()
    print(json.dumps([events, str(error)]), file=sys.stderr, flush=True)
"""

#: A job on a target, which runs until a file exists.
MEASURING = """
import json, sys
from nas.latency.targets import TargetSpec
from trials.executors import EXECUTORS, Job
from trials.plans.pools import measuring_pool

name, address, code, go = sys.argv[1:]
pool = measuring_pool(TargetSpec("board"), local=False)
executor = EXECUTORS.get(name)([pool], code=[code], address=address)
executor.submit(Job("a", "mine.jobs:where", {"until": go}, pool.name))
events = []
while not events:
    events += executor.poll(5)
print(json.dumps(events[0].value["node"]), file=sys.stderr, flush=True)
while len(events) < 3:
    events += executor.poll(5)
executor.close()
"""

JOBS = """
import os, time
from pathlib import Path

from mine.nested import NAME


def where(payload):
    node = os.environ["RAY_RAYLET_PID"]  # jobs run below a worker of Ray's, which has it from its node
    yield {"node": node, "pid": os.getpid()}
    while not Path(payload["until"]).exists():
        time.sleep(0.02)
    cores = sorted(os.sched_getaffinity(0))
    environment = {"threads": os.environ["OMP_NUM_THREADS"], "nice": os.nice(0), "cores": cores}
    yield {"node": node, "file": __file__, "name": NAME, **environment}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with ray_cluster("--include-dashboard=false", '--resources={"trainer": 1}') as cluster:
        cluster.add_node('--resources={"trainer": 1, "target:board": 1}')
        yield cluster


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A folder with the user's own code."""
    package = tmp_path / "code" / "mine"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "nested.py").write_text("NAME = 'mine'\n")
    (package / "jobs.py").write_text(JOBS)
    return package.parent


def coordinate(
    cluster: Cluster,
    name: str,
    code: Path,
    go: Path,
    environment: dict[str, str] | None = None,
    text: str = COORDINATOR,
) -> subprocess.Popen[str]:
    script = code.parent / "coordinator.py"
    script.write_text(text)
    return subprocess.Popen(
        [sys.executable, str(script), name, cluster.address, str(code), str(go)],
        env=environment or cluster.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("name", ["ray_actors", pytest.param("ray_tune", marks=pytest.mark.slow)])
def test_own_code_runs_on_every_node(cluster: Cluster, code: Path, name: str, tmp_path: Path) -> None:
    with coordinate(cluster, name, code, tmp_path / "go") as process:
        _, output = process.communicate(timeout=150)
    assert process.returncode == 0, output
    ended = json.loads(output.splitlines()[-1])
    assert ended["a"]["node"] != ended["b"]["node"]
    (beside,) = [ended[key] for key in ("a", "b") if ended[key]["node"] == ended["c"]["node"]]
    (other,) = [ended[key] for key in ("a", "b") if ended[key]["node"] != ended["c"]["node"]]
    assert other["cores"] == ended["c"]["cores"] == sorted(os.sched_getaffinity(0))
    assert beside["cores"] == (other["cores"][:-1] or other["cores"]), "trainers must leave the measuring core alone"
    for value in ended.values():
        assert (value["name"], value["threads"], value["nice"]) == ("mine", "1", 0)
        assert not value["file"].startswith(str(code)), "the code must be sent to the other node"


def test_a_target_has_its_place_before_trainers_and_a_missing_one_is_not_waited_for_for_ever(
    cluster: Cluster, code: Path, tmp_path: Path
) -> None:
    with coordinate(cluster, "ray_actors", code, tmp_path / "go", text=CROWDED) as process:
        _, output = process.communicate(timeout=150)
    assert process.returncode == 0, output
    ended, error = json.loads(output.splitlines()[-1])
    nodes = {pool: {node for name, node in ended if name == pool} for pool in ("train", "target:board")}
    assert len(nodes["target:board"]) == 1
    assert not nodes["train"] & nodes["target:board"], "a trainer took the target's processor"
    assert "no node of the cluster has room for a worker of pool 'target:nowhere'" in error
    assert "target:board 1" in error
    assert """ray start --address=HEAD:PORT --num-cpus=1 --resources='{"target:nowhere": 1}'""" in error


def test_two_studies_measure_on_one_target(cluster: Cluster, code: Path, tmp_path: Path) -> None:
    go = tmp_path / "go"
    both = [coordinate(cluster, "ray_actors", code, go, text=MEASURING) for _ in range(2)]
    nodes = []
    for process in both:
        assert process.stderr is not None
        nodes.append(json.loads(process.stderr.readline()))  # the job of neither has ended
    go.touch()
    for process in both:
        _, output = process.communicate(timeout=100)
        assert process.returncode == 0, output
    assert nodes[0] == nodes[1]


def test_workers_of_a_cluster_die_with_a_killed_coordinator(cluster: Cluster, code: Path) -> None:
    with coordinate(cluster, "ray_actors", code, Path("/nowhere/go")) as process:
        assert process.stderr is not None
        # On a busy machine, warnings about nodes that are still starting come first.
        pids = next(json.loads(line) for line in process.stderr if line.startswith("["))
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
        process.kill()
    deadline = time.monotonic() + 60
    while left := [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


def test_a_missing_token_is_named(cluster: Cluster, code: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in cluster.environment.items() if not name.startswith("RAY_AUTH")}
    environment["HOME"] = str(tmp_path)  # the folder where Ray looks for a token
    with coordinate(cluster, "ray_actors", code, tmp_path / "go", environment) as process:
        _, output = process.communicate(timeout=120)
    assert process.returncode == 1
    error = output.splitlines()[-1]
    assert error.startswith(f"nas.errors.JobError: the cluster at {cluster.address} needs a token")
    assert "RAY_AUTH_MODE=token" in error
