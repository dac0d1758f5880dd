"""Check whether a Ray cluster and its workers are alive, because Ray itself may wait forever for dead ones.

Ray notices the death of a worker only when its socket closes, but a process that the worker forked keeps the socket
open. If the head dies, Ray tells a driver only by ending it.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import ClusterError
from nas.scratch import sweep

#: Seconds between two checks, and seconds of refused connections after which Ray counts as gone.
CHECK_S = 2.0
GONE_S = 10.0
CONNECT_S = 3.0
#: Seconds to wait for other nodes when leaving a cluster, and there for the end of killed processes.
LEAVE_S, ENDS_S = 30.0, 10.0
_STARTED = 19  # field of /proc/PID/stat after the process's name


@dataclass(frozen=True)
class Process:
    """A worker's process, as the worker itself reports it."""

    node: str
    pid: int
    #: Start time in clock ticks since the node's boot; process numbers are reused, but not with the same start time.
    started: int
    #: PID namespace; process numbers are comparable only within one namespace.
    namespace: str


class Vigil:
    """Watches one connection to Ray. Used by one thread."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        context = ray.get_runtime_context()
        here = next(node for node in ray.nodes() if node["NodeID"] == context.get_node_id())
        #: Part of Ray that must accept connections → its address.
        self._addresses = {
            "head (GCS)": context.gcs_address,
            "node manager (raylet) of this machine": f"{here['NodeManagerAddress']}:{here['NodeManagerPort']}",
        }
        self._namespace = this_process("").namespace
        self._heard = dict.fromkeys(self._addresses, time.monotonic())
        self._checked = 0.0
        #: Node → Ray's reference to the result of the last check of its processes.
        self._checks: dict[str, Any] = {}

    def dead(self, processes: Collection[Process]) -> set[Process]:
        """Return the processes that have ended, and kill their children; check at most every ``CHECK_S`` seconds.

        Raises:
            ClusterError: the cluster does not answer any more.
        """
        now = time.monotonic()
        if now - self._checked < CHECK_S:
            return set()
        self._check_cluster()
        self._checked = time.monotonic()
        here = [process for process in processes if process.namespace == self._namespace]
        found = set(bury(here))
        for node in {process.node for process in processes if process.namespace != self._namespace}:
            found |= self._check(node, [process for process in processes if process.node == node])
        return found

    @property
    def answers(self) -> bool:
        """Whether all parts of the cluster that this process needs accept connections now."""
        return all(_listens(address) for address in self._addresses.values())

    def is_here(self, process: Process) -> bool:
        """Whether a worker's process is on this machine, where signals reach it without Ray."""
        return process.namespace == self._namespace

    def end(self, process: Process) -> None:
        """Kill a worker and the processes that it started."""
        if self.is_here(process):
            kill_group(process.pid)
        else:
            self._there(process.node, kill_group, process.pid)

    def leave(self, processes: Collection[Process]) -> None:
        """End workers on other nodes, and remove the temporary folders of killed ones there.

        This takes a few seconds, and up to half a minute on busy nodes, because Ray has to start a process there.
        """
        if not self.answers:
            return
        with suppress(Exception):  # the cluster may end in this moment
            here = self._ray.get_runtime_context().get_node_id()
            others = [node["NodeID"] for node in self._ray.nodes() if node["Alive"] and node["NodeID"] != here]
            on = {node: [process.pid for process in processes if process.node == node] for node in others}
            answers = [self._there(node, clear, pids) for node, pids in on.items()]
            if answers:
                self._ray.wait(answers, num_returns=len(answers), timeout=LEAVE_S)

    def _check_cluster(self) -> None:
        for what, address in self._addresses.items():
            if _listens(address):
                self._heard[what] = time.monotonic()
            elif (silent_s := time.monotonic() - self._heard[what]) > GONE_S:
                raise ClusterError(
                    f"Ray's {what} has not answered at {address} for {silent_s:.0f} s: it was killed, or the network "
                    "is interrupted; check the network, and if the cluster has ended, start it again"
                )

    def _check(self, node: str, processes: Sequence[Process]) -> set[Process]:
        """Return the processes on another node that its last check found dead, and start the next check."""
        found: set[Process] = set()
        if node in self._checks:
            ready, _ = self._ray.wait([self._checks[node]], timeout=0)
            if not ready:
                return found
            with suppress(self._ray.exceptions.RayError):  # the node is lost; Ray reports its workers as lost, too
                found = set(self._ray.get(ready[0])) & set(processes)
        self._checks[node] = self._there(node, bury, processes)
        return found

    def _there(self, node: str, function: Any, argument: Any) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = NodeAffinitySchedulingStrategy(node, soft=False)
        return self._ray.remote(function).options(num_cpus=0, scheduling_strategy=there, max_retries=0).remote(argument)


def this_process(node: str) -> Process:
    """Return the calling process, on the given node."""
    return Process(node, os.getpid(), _started(os.getpid()) or 0, os.readlink("/proc/self/ns/pid"))


def bury(processes: Sequence[Process]) -> list[Process]:
    """Return the given processes of this machine that have ended, and kill the processes that they started."""
    ended = [process for process in processes if _started(process.pid) != process.started]
    for process in ended:
        kill_group(process.pid)
    return ended


def kill_group(pid: int) -> None:
    """Kill the process group that a process leads; every Ray worker leads its own group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def clear(pids: Sequence[int]) -> None:
    """Kill workers of this machine with the processes that they started, and remove what killed processes left."""
    for pid in pids:
        kill_group(pid)
    deadline = time.monotonic() + ENDS_S
    while not all(_has_ended(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    sweep()


def _has_ended(pid: int) -> bool:
    """Whether all threads of a process have ended; as long as one has not, files that the process locks stay locked."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[0] not in "ZX":
                return False
    return True


def _started(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None if its main thread has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[_STARTED])


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except OSError:
        return False
    return True
