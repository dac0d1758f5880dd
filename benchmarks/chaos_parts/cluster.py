"""A Ray cluster on this machine, whose nodes have networks, process ids, host names and temporary folders of their own.

It needs Linux, root, and the programs ``ip``, ``nsenter``, ``setpriv`` and ``unshare``.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chaos_parts.processes import descendants

PROGRAMS = ("ip", "nsenter", "setpriv", "unshare")
GCS_PORT = 6379
#: What ``ray start`` prints when a node is complete.
STARTED = "Ray runtime started"
#: Room for objects of Ray's, of which a study has next to none.
OBJECTS_BYTES = 80_000_000


def missing() -> str | None:
    """Return why this machine can't have such a cluster; None if it can."""
    if os.geteuid() != 0:
        return "containers of their own network need root"
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"not installed: {', '.join(absent)}" if absent else None


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


class Network:
    """A bridge of this machine, to which each node has a cable."""

    def __init__(self) -> None:
        number = os.getpid()
        self._bridge, self._prefix = f"nasb{number}", f"10.{100 + number // 250 % 100}.{number % 250}"
        self.host = f"{self._prefix}.254"
        #: Number of a node → its network namespace.
        self._spaces: dict[int, str] = {}
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("address", "add", f"{self.host}/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")

    def address(self, number: int) -> str:
        """Address of a node."""
        return f"{self._prefix}.{number}"

    def add(self, number: int) -> str:
        """Make the network namespace of a node, connect it, and return its name."""
        space, cable = f"{self._bridge}-{number}", self._cable(number)
        _ip("netns", "add", space)
        self._spaces[number] = space
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("link", "set", cable, "master", self._bridge, "up")
        _ip("-n", space, "address", "add", f"{self.address(number)}/24", "dev", "eth0")
        for link in ("eth0", "lo"):
            _ip("-n", space, "link", "set", link, "up")
        _ip("-n", space, "route", "add", "default", "via", self.host)
        return space

    def cut(self, number: int) -> None:
        """Cut the cable of a node: packets are lost, and nobody is told."""
        _ip("link", "set", self._cable(number), "down")

    def mend(self, number: int) -> None:
        """Mend the cable of a node."""
        _ip("link", "set", self._cable(number), "up")

    def close(self) -> None:
        """Remove all that was made."""
        for number, space in self._spaces.items():
            _ip("link", "delete", self._cable(number))  # with its namespace it would be removed only some time later
            _ip("netns", "delete", space)
        _ip("link", "delete", self._bridge)

    def _cable(self, number: int) -> str:
        return f"nasv{os.getpid()}.{number}"


@dataclass
class Node:
    """One node; the first one is the head."""

    number: int
    address: str
    space: str
    folder: Path
    environment: dict[str, str]
    options: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None
    #: How often it was started.
    starts: int = 0

    @property
    def runs(self) -> bool:
        """Whether its main process runs."""
        return self.process is not None and self.process.poll() is None

    @property
    def is_ready(self) -> bool:
        """Whether it runs completely."""
        return self.runs and STARTED in self._log.read_text()

    @property
    def _log(self) -> Path:
        return self.folder / f"log{self.starts}"

    def start(self) -> None:
        """Start it; it ends with this process."""
        self.kill()
        self.starts += 1
        ray = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--disable-usage-stats", "--num-cpus=1"]
        ray += [f"--object-store-memory={OBJECTS_BYTES}", f"--node-ip-address={self.address}"]
        ray += [f"--temp-dir={self.folder}/ray{self.starts}", *self.options]
        # Without a name server, names are looked up in a file, and unknown ones are refused at once. The shell has
        # process id 1, and reaps all processes whose parents are dead.
        mounts = "; ".join(f"mount --bind {self.folder}/{name} /etc/{name}" for name in ("hosts", "resolv.conf"))
        script = f"hostname node{self.number}; {mounts}; {shlex.join(ray)}; exit $?"
        contained = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts", "sh", "-c", script]
        command = ["setpriv", "--pdeathsig", "KILL", "ip", "netns", "exec", self.space, *contained]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, cwd="/")

    def run(self, command: Sequence[str], log: Path, folder: Path) -> subprocess.Popen[bytes]:
        """Run a command on it; the command ends with it."""
        assert self.process is not None
        first = descendants(self.process.pid)[0]
        entered = ["nsenter", "--target", str(first), "--all", f"--wdns={folder}", "--", *command]
        with log.open("ab") as output:
            return subprocess.Popen(entered, env=self.environment, stdout=output, stderr=output)

    def kill(self) -> None:
        """Kill all its processes."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@dataclass
class Cluster:
    """The nodes, and the environment variables of a shell that talks to them."""

    folder: Path
    num_nodes: int
    network: Network = field(default_factory=Network)
    nodes: list[Node] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        token = self.folder / "cluster-token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        ours = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        ours |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "OMP_NUM_THREADS": "1", "PATH": path}
        self.environment = ours
        for number in range(1, self.num_nodes + 1):
            self.nodes.append(self._made(number))

    @property
    def head(self) -> Node:
        """The head."""
        return self.nodes[0]

    @property
    def address(self) -> str:
        """Address of the cluster."""
        return f"{self.head.address}:{GCS_PORT}"

    def close(self) -> None:
        """End all nodes, and remove the network."""
        for node in self.nodes:
            node.kill()
        self.network.close()

    def _made(self, number: int) -> Node:
        folder, temporary = self.folder / f"node{number}", self.folder / "tmp" / f"node{number}"
        folder.mkdir()
        (folder / "hosts").write_text(f"127.0.0.1 localhost\n{self.network.address(number)} node{number}\n")
        (folder / "resolv.conf").touch()
        temporary.mkdir(parents=True)
        return Node(
            number,
            self.network.address(number),
            self.network.add(number),
            folder,
            {**self.environment, "TMPDIR": str(temporary)},
            ("--head", f"--port={GCS_PORT}", "--include-dashboard=false")
            if number == 1
            else (f"--address={self.address}",),
        )
