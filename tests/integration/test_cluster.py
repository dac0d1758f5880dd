"""A cluster of two nodes on this machine, with a token: code from the user's own folder runs on both nodes."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

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
    yield {"node": node, "file": __file__, "name": NAME, "threads": os.environ["OMP_NUM_THREADS"], "cores": cores}
"""


@dataclass(frozen=True)
class Cluster:
    """The address of the head, and the environment variables of a shell that talks to it."""

    address: str
    environment: dict[str, str]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _node(environment: dict[str, str], folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """One node, which ends with this block together with all it started (``ray stop`` would end every cluster of this
    machine).
    """
    command = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--disable-usage-stats"]
    command += ["--num-cpus=1", "--object-store-memory=80000000", "--node-ip-address=127.0.0.1"]
    command += ["--min-worker-port=0", "--max-worker-port=0", f"--temp-dir={folder}"]
    command += [f"--dashboard-agent-listen-port={_free_port()}", *arguments]
    with (folder / "start.log").open("w") as log:
        node = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield node
    finally:
        node.send_signal(signal.SIGTERM)
        try:
            node.wait(20)
        finally:
            _end_group(node.pid)


def _end_group(group: int) -> None:
    """Kill the rest of a process group, and wait for its end."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            return
        time.sleep(0.1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    # The path of a socket must be short, hence not pytest's folder.
    with tempfile.TemporaryDirectory(prefix="nas-ray-", dir="/tmp", ignore_cleanup_errors=True) as root:
        token = Path(root) / "token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        ours = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        environment = {**ours, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "OMP_NUM_THREADS": "1"}
        port = _free_port()
        with ExitStack() as nodes:
            folders = [Path(root) / name for name in ("head", "second")]
            for folder in folders:
                folder.mkdir()
            extra = ["--head", f"--port={port}", "--include-dashboard=false", '--resources={"trainer": 1}']
            nodes.enter_context(_node(environment, folders[0], *extra))
            _wait_for_port(port, folders[0] / "start.log")
            resources = '--resources={"trainer": 1, "target:board": 1}'
            nodes.enter_context(_node(environment, folders[1], f"--address=127.0.0.1:{port}", resources))
            yield Cluster(f"127.0.0.1:{port}", environment)


def _wait_for_port(port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


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
        assert (value["name"], value["threads"]) == ("mine", "1")
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


def test_workers_of_a_cluster_die_with_a_killed_coordinator(cluster: Cluster, code: Path) -> None:
    with coordinate(cluster, "ray_actors", code, Path("/nowhere/go")) as process:
        assert process.stderr is not None
        pids = json.loads(process.stderr.readline())
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
