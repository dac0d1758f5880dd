"""Ray actors in the slots of pools: start them, give them jobs, end them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from trials.executors import Job, Pool
from trials.executors.cluster.connection import targets_in, worker_cores
from trials.executors.cluster.places import Reservation
from trials.executors.cluster.supervised import Supervised, to_json
from trials.executors.cluster.vigil import Process, this_process

#: Seconds for which a new worker counts as starting: about as long as a process takes to start.
START_S = 30.0


class Worker:
    """The class that runs in an actor: it takes a job as JSON and yields messages as JSON.

    Jobs run in a child process of the actor, so that the actor can kill it and report how it ended.
    """

    def __init__(self, code: Sequence[str], pool: Pool) -> None:
        self._worker = Supervised(code, pool, worker_cores(pool))

    def process(self) -> Process:
        """Return the process of this worker."""
        import ray

        return this_process(ray.get_runtime_context().get_node_id())

    def run(self, job: str) -> Iterator[str]:
        """Yield the messages of one job."""
        yield from self._worker.run(job)


@dataclass
class Slot:
    """One of the actors that a pool may have, with its process and its job."""

    pool: Pool
    actor: Any = None
    #: Ray's reference that is ready once the actor has room and its process runs.
    started: Any = None
    process: Process | None = None
    job: Job | None = None
    stream: Any = None
    since: float = field(default_factory=time.monotonic)

    @property
    def coming(self) -> bool:
        """Whether the actor runs, or may still be starting."""
        return self.process is not None or time.monotonic() - self.since < START_S

    @property
    def next_answer(self) -> Any:
        """Ray's reference to wait for: the actor's start, or the next message of its job; None if neither."""
        return self.started if self.process is None else self.stream


class Slots:
    """Starts and ends actors. Room for the actors of targets is reserved before any actor starts."""

    def __init__(self, ray: Any, code: Sequence[str], pools: Sequence[Pool]) -> None:
        self._ray, self._code = ray, code
        #: Pool → its reservation, which is kept when an actor dies.
        self._reserved = {pool.name: Reservation(ray, pool) for pool in pools if targets_in(pool.resources)}

    def start(self, slots: Sequence[Slot], wait_s: float) -> None:
        """Start an actor in each slot without one, once all reservations are ready; wait for each up to ``wait_s``."""
        without = [slot for slot in slots if slot.actor is None]
        if without and all([place.is_ready(wait_s) for place in self._reserved.values()]):
            for slot in without:
                self._start(slot)

    def give(self, slot: Slot, job: Job) -> None:
        """Give a job to a slot's actor."""
        method = slot.actor.run.options(num_returns="streaming")
        slot.job, slot.stream = job, method.remote(to_json(job))

    def kill(self, slot: Slot) -> None:
        """End a slot's actor."""
        if slot.actor is not None:
            with suppress(Exception):  # it may be dead already
                self._ray.kill(slot.actor)

    def _start(self, slot: Slot) -> None:
        pool = slot.pool
        options: dict[str, Any] = {"num_cpus": pool.cpus, "num_gpus": pool.gpus, "resources": dict(pool.resources)}
        options |= {"memory": pool.memory_bytes} if pool.memory_bytes else {}
        if pool.name in self._reserved:
            options |= self._reserved[pool.name].options()
        options["runtime_env"] = {"env_vars": {"OMP_NUM_THREADS": pool.threads}}
        slot.actor = self._ray.remote(Worker).options(**options).remote(self._code, pool)
        slot.started = slot.actor.process.remote()


def fitted(slots: Sequence[Slot], sizes: Sequence[tuple[Pool, int]]) -> tuple[list[Slot], list[Slot]]:
    """Return the slots of pools with their present sizes, and those that are to end, none of which has a job."""
    kept: list[Slot] = []
    surplus: list[Slot] = []
    for pool, size in sizes:
        own = [slot for slot in slots if slot.pool.name == pool.name]
        own.sort(key=lambda slot: (slot.job is None, slot.process is None))  # those with a job first, then running ones
        kept += [slot for place, slot in enumerate(own) if place < size or slot.job is not None]
        surplus += [slot for place, slot in enumerate(own) if place >= size and slot.job is None]
        kept += [Slot(pool) for _ in range(size - len(own))]
    return kept, surplus


def by_answer(slots: Sequence[Slot]) -> Mapping[Any, Slot]:
    """Return Ray's reference to wait for → its slot."""
    return {slot.next_answer: slot for slot in slots if slot.next_answer is not None}
