"""Random faults at random moments of one study on a cluster, and an operator who repairs what a human would repair."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from chaos_parts.cluster import Cluster
from chaos_parts.faults import FAULTS, Harm, NothingToHarm
from chaos_parts.places import NAS, Place
from chaos_parts.processes import below

ENDED = ("complete", "exhausted", "stopped", "failed")
#: Seconds until the operator notices something, and for which the command of an ended study may still run.
NOTICES_S, ENDS_S = 3.0, 60.0
#: Longest time for the start of lost nodes, and for a short command on a node.
STARTS_S = 180.0
#: Mean time between two faults.
PAUSE_S = 20.0
#: Shortest and longest time for which a node's cable is cut.
CUT_S = (3.0, 45.0)


@dataclass
class ClusterPlace(Place):
    """A study whose coordinator, trainers and measuring jobs run on the nodes of a cluster."""

    cluster: Cluster = field(kw_only=True)
    random: random.Random = field(kw_only=True)
    #: The last command that was to run the study.
    command: subprocess.Popen[bytes] | None = None
    epochs: int = 1
    disk_bytes: int = 256 << 20

    @property
    def host(self) -> str:
        """See ``Place.host``."""
        return self.cluster.network.host

    @property
    def environment(self) -> dict[str, str]:
        """See ``Place.environment``."""
        return {**self.cluster.environment, "TMPDIR": str(self.temporary)}

    @property
    def coordinators(self) -> list[int]:
        """See ``Place.coordinators``."""
        return self.found("/nas search")

    @property
    def left(self) -> list[int]:
        """See ``Place.left``; nodes and agents run on, but nothing that works for the study."""
        return self.found("/nas search", "ray::Worker", "trials.executors", "nas.latency.process")

    @property
    def has_ended(self) -> bool:
        """Whether the study has ended."""
        return any(state in ENDED for (state,) in self.rows("SELECT state FROM studies"))

    def write_plan(self, **keys: Any) -> None:
        """See ``Place.write_plan``."""
        measure = {"precision": 0.5, "budget_s": 0.2, "canary_every": 0, "audit": 0}
        super().write_plan(concurrency=len(self.cluster.nodes) - 1, measure=measure, **keys)

    def found(self, *words: str) -> list[int]:
        """See ``Place.found``."""
        roots = [node.process for node in self.cluster.nodes] + [self.agent, self.command]
        return [pid for root in roots if root is not None for pid in below(root.pid, *words)]

    def victims(self, found: Sequence[int]) -> Sequence[int]:
        """Return one of the processes."""
        return [self.random.choice(list(found))]


@dataclass
class Injected:
    """A fault that was injected, and the jobs that ran at that moment."""

    name: str
    at: float
    jobs: list[int]
    #: Seconds until the first result of a job that started afterwards; None if there was no such job.
    result_s: float | None = None
    #: Seconds until all jobs that ran at that moment were done; None if none ran, or the database was away.
    jobs_s: float | None = None


@dataclass
class Operator:
    """Starts nodes again, and continues the study if nobody runs it."""

    place: ClusterPlace
    #: What was started, and how often.
    done: dict[str, int] = field(default_factory=lambda: {"heads": 0, "nodes": 0, "coordinators": 0})
    _noticed: dict[str, float] = field(default_factory=dict)

    def look(self) -> None:
        """Repair one thing, if something has been broken for a while."""
        cluster = self.place.cluster
        lost = [node for node in cluster.nodes[1:] if not node.runs]
        if not cluster.head.runs:
            if self._notices("heads"):
                for node in cluster.nodes:
                    node.kill()
                cluster.head.start()
        elif not cluster.head.is_ready:
            pass
        elif lost:
            if self._notices("nodes"):
                lost[0].start()
        elif self._is_idle() and self._notices("coordinators"):
            command = (NAS, "search", "plan.yaml", "--or-resume", "--address", cluster.address)
            words = (*command, "--storage", self.place.url)
            self.place.command = cluster.head.run(words, self.place.folder / "log", self.place.folder)

    def clean(self) -> None:
        """Start all lost nodes again, and run ``nas gc`` on every node.

        A node that was away when the study ended still has the temporary folders of killed processes.

        Raises:
            TimeoutError: a node does not start.
            CalledProcessError: ``nas gc`` failed.
        """
        nodes = self.place.cluster.nodes
        deadline = time.monotonic() + STARTS_S
        while not all(node.is_ready for node in nodes):
            if time.monotonic() > deadline:
                raise TimeoutError(f"a node has not started within {STARTS_S:.0f} s")
            self.look()
            time.sleep(0.5)
        command = (NAS, "gc", "chaos", "--storage", self.place.url)
        for node in nodes:
            cleaning = node.run(command, self.place.folder / "log", self.place.folder)
            if code := cleaning.wait(STARTS_S):
                raise subprocess.CalledProcessError(code, command)

    def close(self) -> None:
        """Wait for the command that runs the study, or kill it."""
        if self.place.command is not None:
            self.place.finish(self.place.command, "search", ENDS_S)

    def _is_idle(self) -> bool:
        """Whether nobody runs the study."""
        command = self.place.command
        return (command is None or command.poll() is not None) and not self.place.has_ended

    def _notices(self, what: str) -> bool:
        """Whether something has been broken for a while; counts the repair that follows."""
        now = time.monotonic()
        since = self._noticed.setdefault(what, now)
        if now - since < NOTICES_S:
            return False
        del self._noticed[what]
        self.done[what] += 1
        print(f"{time.strftime('%H:%M:%S')} operator: {what}", file=sys.stderr, flush=True)
        return True


def _cut(place: Place) -> None:
    assert isinstance(place, ClusterPlace)
    node, network = place.random.choice(place.cluster.nodes), place.cluster.network
    network.cut(node.number)
    place.later(place.random.uniform(*CUT_S), partial(network.mend, node.number))


#: Faults that end by themselves after a while; only one of them at a time.
LASTING: dict[str, Harm] = {
    **{name: FAULTS[name].harm for name in ("agent", "database", "database-away", "disk-full")},
    "network": _cut,
}
KILLS = {name: FAULTS[name].harm for name in ("worker", "raylet", "gcs", "coordinator", "measuring-process")}
STORM = LASTING | KILLS


def storm(place: ClusterPlace, operator: Operator, seconds: float, limit_s: float) -> list[Injected]:
    """Run the study, and inject faults for some seconds from its first result on; return the faults.

    Raises:
        TimeoutError: the study has not ended after ``limit_s``.
    """
    deadline = time.monotonic() + limit_s
    waiting, injected = _shuffled(place), list[Injected]()
    due = until = 0.0
    while not place.has_ended:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the study did not end within {limit_s:.0f} s")
        operator.look()
        if not until and place.rows("SELECT 1 FROM jobs WHERE state = 'done' AND kind = 'train'"):
            due = time.monotonic() + place.random.uniform(0, 2 * PAUSE_S)
            until = time.monotonic() + seconds
        if until and due < time.monotonic() < until and _may(waiting[0], place):
            if (fault := _inject(waiting.pop(0), place)) is not None:
                injected.append(fault)
                due = time.monotonic() + place.random.uniform(0, 2 * PAUSE_S)
            waiting = waiting or _shuffled(place)
        time.sleep(0.5)
    for repair in place.repairs:
        repair.join()
    operator.close()
    return [_recovered(place, fault) for fault in injected]


def _shuffled(place: ClusterPlace) -> list[str]:
    return place.random.sample(list(STORM), len(STORM))


def _may(name: str, place: ClusterPlace) -> bool:
    return name in KILLS or not any(repair.is_alive() for repair in place.repairs)


def _inject(name: str, place: ClusterPlace) -> Injected | None:
    """Inject a fault; return None if there was nothing to harm."""
    jobs = [int(row[0]) for row in place.rows("SELECT id FROM jobs WHERE state = 'running'")]
    fault = Injected(name, time.time(), jobs)
    try:
        STORM[name](place)
    except NothingToHarm:
        return None
    print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr, flush=True)
    return fault


def _recovered(place: ClusterPlace, fault: Injected) -> Injected:
    """Return a fault with the seconds that the study took to recover."""
    finished = f"extract(epoch FROM finished_at) - {fault.at:.3f}"
    ((result_s,),) = place.rows(
        f"SELECT min({finished}) FROM jobs WHERE extract(epoch FROM started_at) > {fault.at:.3f}"
    )
    keys = ", ".join(map(str, fault.jobs)) or "NULL"
    ((jobs_s,),) = place.rows(f"SELECT max({finished}) FROM jobs WHERE id IN ({keys})")
    fault.result_s, fault.jobs_s = (None if value is None else float(value) for value in (result_s, jobs_s))
    return fault
