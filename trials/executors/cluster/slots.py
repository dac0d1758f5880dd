"""Ray actors in slots: where they get a place, and what they do there."""

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

#: How long a new worker counts as one that will come: about as long as a process takes to start.
START_S = 30.0


class Worker:
    """What runs in an actor: JSON in, a stream of JSON out.

    Jobs run in a process below the actor's, so that the actor can tell how it ended, and end it.
    """

    def __init__(self, code: Sequence[str], pool: Pool) -> None:
        self._worker = Supervised(code, pool, worker_cores(pool))

    def process(self) -> Process:
        """Where this worker runs."""
        import ray

        return this_process(ray.get_runtime_context().get_node_id())

    def run(self, job: str) -> Iterator[str]:
        """Yield the messages of one job."""
        yield from self._worker.run(job)


@dataclass
class Slot:
    """One of the actors that a pool may have, and what it is doing."""

    pool: Pool
    actor: Any = None
    #: Answered once the actor has a place and its process runs.
    started: Any = None
    process: Process | None = None
    job: Job | None = None
    stream: Any = None
    since: float = field(default_factory=time.monotonic)

    @property
    def coming(self) -> bool:
        """Whether it runs, or may still be starting."""
        return self.process is not None or time.monotonic() - self.since < START_S

    @property
    def next_answer(self) -> Any:
        """What there is to wait for: the actor's start, or its job's next message; None if neither."""
        return self.started if self.process is None else self.stream


class Slots:
    """Starts and ends actors. Those of targets get places that are reserved before any actor starts."""

    def __init__(self, ray: Any, code: Sequence[str], pools: Sequence[Pool]) -> None:
        self._ray, self._code = ray, code
        #: Pool → its place, which stays when an actor there dies.
        self._reserved = {pool.name: Reservation(ray, pool) for pool in pools if targets_in(pool.resources)}

    def start(self, slots: Sequence[Slot], wait_s: float) -> None:
        """Start the slots that have no actor, once all that is reserved has its place."""
        without = [slot for slot in slots if slot.actor is None]
        if without and all([place.is_ready(wait_s) for place in self._reserved.values()]):
            for slot in without:
                self._start(slot)

    def give(self, slot: Slot, job: Job) -> None:
        """Have a slot's actor run a job."""
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
        if pool.name in self._reserved:
            options |= self._reserved[pool.name].options()
        options["runtime_env"] = {"env_vars": {"OMP_NUM_THREADS": pool.threads}}
        slot.actor = self._ray.remote(Worker).options(**options).remote(self._code, pool)
        slot.started = slot.actor.process.remote()


def by_answer(slots: Sequence[Slot]) -> Mapping[Any, Slot]:
    """What there is to wait for → its slot."""
    return {slot.next_answer: slot for slot in slots if slot.next_answer is not None}
