"""Ray actors: one a slot of a pool, on this machine or on a cluster. The default."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from nas.errors import JobError
from trials.executors import Event, Executor, Job, Pool, pool_named
from trials.executors.cluster import connect, worker_cores
from trials.executors.supervised import Supervised, to_json


class _Worker:
    """What runs in an actor: JSON in, a stream of JSON out.

    Jobs run in a process below the actor's, so that the actor can tell how it ended, and end it.
    """

    def __init__(self, code: Sequence[str], pool: Pool) -> None:
        self._worker = Supervised(code, pool, worker_cores(pool))

    def run(self, job: str) -> Iterator[str]:
        """Yield the messages of one job."""
        yield from self._worker.run(job)


@dataclass
class _Slot:
    """An actor and what it is doing."""

    pool: str
    actor: Any
    key: str | None = None
    stream: Any = None


class RayActorsExecutor(Executor):
    """Actors die with this process, and with its connection to the cluster."""

    def __init__(self, pools: Sequence[Pool], *, code: Sequence[str] = (), address: str | None = None) -> None:
        self._pools = {pool.name: pool for pool in pools}
        connection = connect(pools, code, address)
        self._ray, self._code = connection.ray, connection.code
        # All start now: an actor takes about as long as what a study does before its first training.
        self._slots = [self._start(pool) for pool in pools for _ in range(pool.size)]
        self._events: list[Event] = []

    def free(self, pool: str) -> int:
        """See ``Executor.free``."""
        size = pool_named(self._pools, pool).size
        return size - sum(slot.key is not None for slot in self._slots if slot.pool == pool)

    def submit(self, job: Job) -> None:
        """See ``Executor.submit``."""
        if self.free(job.pool) < 1:
            raise JobError(f"pool {job.pool!r} is full; ask free() before submitting {job.key!r}")
        slot = next(slot for slot in self._slots if slot.pool == job.pool and slot.key is None)
        slot.key = job.key
        method = slot.actor.run.options(num_returns="streaming")
        slot.stream = method.remote(to_json(job))

    def poll(self, timeout_s: float) -> list[Event]:
        """See ``Executor.poll``."""
        wait = 0.0 if self._events else timeout_s
        if not any(slot.key for slot in self._slots):
            time.sleep(wait)
        while busy := {slot.stream: slot for slot in self._slots if slot.key is not None}:
            ready, _ = self._ray.wait(list(busy), num_returns=1, timeout=wait)
            if not ready:
                break
            self._take(busy[ready[0]])
            wait = 0.0
        events, self._events = self._events, []
        return events

    def cancel(self, key: str) -> None:
        """See ``Executor.cancel``."""
        for slot in [slot for slot in self._slots if slot.key == key]:
            self._replace(slot)
        self._events = [event for event in self._events if event.key != key]

    def close(self) -> None:
        """See ``Executor.close``."""
        for slot in self._slots:
            self._kill(slot)
        self._slots.clear()
        self._events.clear()
        self._ray.shutdown()

    def _start(self, pool: Pool) -> _Slot:
        worker = self._ray.remote(_Worker).options(
            num_cpus=pool.cpus,
            num_gpus=pool.gpus,
            resources=dict(pool.resources),
            runtime_env={"env_vars": {"OMP_NUM_THREADS": pool.threads}},
        )
        return _Slot(pool.name, worker.remote(self._code, pool))

    def _kill(self, slot: _Slot) -> None:
        with suppress(Exception):  # it may be dead already
            self._ray.kill(slot.actor)

    def _replace(self, slot: _Slot) -> None:
        self._kill(slot)
        self._slots.remove(slot)
        self._slots.append(self._start(self._pools[slot.pool]))

    def _take(self, slot: _Slot) -> None:
        """The next message of a stream that has one, or the news that its actor is lost."""
        assert slot.key is not None
        try:
            message = json.loads(self._ray.get(next(slot.stream)))
        except (self._ray.exceptions.RayError, StopIteration) as error:
            # Its job runs in a process below it: it was not the job that ended the actor, if not by taking all memory.
            out_of_memory = isinstance(error, self._ray.exceptions.OutOfMemoryError)
            reason = f"{type(error).__name__}: {error}"
            self._events.append(Event(slot.key, "lost" if out_of_memory else "place", error=reason))
            self._replace(slot)
            return
        self._events.append(Event(slot.key, **message))
        if message["kind"] != "progress":
            slot.key = slot.stream = None
