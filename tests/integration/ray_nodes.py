"""Ray clusters of several nodes on this machine, with a token."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
NAS = str(Path(sys.executable).with_name("nas"))


@dataclass
class Cluster:
    """A head, further nodes, and the environment variables of a shell that talks to them."""

    environment: dict[str, str]
    _root: Path
    _nodes: ExitStack
    port: int = field(default_factory=lambda: free_port())
    job_port: int = field(default_factory=lambda: free_port())
    _groups: list[int] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def job_server(self) -> str:
        return f"http://{HOST}:{self.job_port}"

    def add_head(self, *options: str) -> None:
        log = self._add("--head", f"--port={self.port}", f"--dashboard-port={self.job_port}", *options)
        wait_for_port(self.port, log)

    def add_node(self, *options: str) -> None:
        self._add(f"--address={self.address}", *options)

    def kill(self) -> None:
        """Kill head and nodes, as if their machines lost power."""
        for group in self._groups:
            os.killpg(group, signal.SIGKILL)

    def _add(self, *options: str) -> Path:
        folder = self._root / f"node{len(self._groups) + 1}"
        folder.mkdir()
        self._groups.append(self._nodes.enter_context(_node(self.environment, folder, *options)))
        return folder / "start.log"


@contextmanager
def ray_cluster(*options: str) -> Iterator[Cluster]:
    """A cluster whose head has these ``options``."""
    # The path of a socket must be short, hence not pytest's folder.
    with tempfile.TemporaryDirectory(prefix="nas-ray-", dir="/tmp", ignore_cleanup_errors=True) as root:
        token = Path(root) / "token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        ours = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        environment = {**ours, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "OMP_NUM_THREADS": "1"}
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        with ExitStack() as nodes:
            cluster = Cluster(environment, Path(root), nodes)
            cluster.add_head(*options)
            yield cluster


@contextmanager
def _node(environment: dict[str, str], folder: Path, *options: str) -> Iterator[int]:
    """The process group of one node. The node ends with this block together with all it started; ``ray stop`` would end
    every cluster of this machine.
    """
    command = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--disable-usage-stats"]
    command += ["--num-cpus=1", "--object-store-memory=80000000", f"--node-ip-address={HOST}"]
    command += ["--min-worker-port=0", "--max-worker-port=0", f"--temp-dir={folder}"]
    command += [f"--dashboard-agent-listen-port={free_port()}", *options]
    with (folder / "start.log").open("w") as log:
        node = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield node.pid
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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


def nas(cluster: Cluster, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command ``nas`` in the environment of a cluster."""
    return subprocess.run(
        [NAS, *arguments],
        env=cluster.environment | variables,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What a command that succeeded has printed."""
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 180
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.5)
