"""Ray actors: one a slot of a pool, on this machine or on a cluster. The default."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from nas.errors import JobError
from trials.executors import Event, Executor, Job, Pool
from trials.executors.cluster import connect
from trials.executors.worker import prepare, run


class _Worker:
    """What runs in an actor: JSON in, a stream of JSON out."""

    def __init__(self, code: Sequence[str], cores: Sequence[int]) -> None:
        prepare(code, cores)

    def run(self, function: str, payload: str) -> Any:
        """Yield the messages of one job."""
        for message in run(function, json.loads(payload)):
            yield json.dumps(message)


@dataclass
class _Slot:
    """An actor and what it is doing."""

    pool: str
    actor: Any
    key: str | None = None
    stream: Any = None


class RayActorsExecutor(Executor):
    """Actors are started when first needed; they die with this process, and with its connection to the cluster."""

    def __init__(self, pools: Sequence[Pool], *, code: Sequence[str] = (), address: str | None = None) -> None:
        self._pools = {pool.name: pool for pool in pools}
        connection = connect(pools, code, address)
        self._ray, self._code = connection.ray, connection.code
        self._slots: list[_Slot] = []
        self._events: list[Event] = []

    def free(self, pool: str) -> int:
        """See ``Executor.free``."""
        busy = sum(slot.pool == pool and slot.key is not None for slot in self._slots)
        return self._pools[pool].size - busy

    def submit(self, job: Job) -> None:
        """See ``Executor.submit``."""
        if self.free(job.pool) < 1:
            raise JobError(f"pool {job.pool!r} is full; ask free() before submitting {job.key!r}")
        idle = [slot for slot in self._slots if slot.pool == job.pool and slot.key is None]
        slot = idle[0] if idle else self._start(self._pools[job.pool])
        slot.key = job.key
        method = slot.actor.run.options(num_returns="streaming")
        slot.stream = method.remote(job.function, json.dumps(dict(job.payload)))

    def poll(self, timeout_s: float) -> list[Event]:
        """See ``Executor.poll``."""
        busy = {slot.stream: slot for slot in self._slots if slot.stream is not None}
        if not busy:
            if not self._events:
                time.sleep(timeout_s)
        else:
            wait = 0.0 if self._events else timeout_s
            ready, _ = self._ray.wait(list(busy), num_returns=1, timeout=wait)
            while ready:
                for stream in ready:
                    self._take(busy[stream])
                busy = {slot.stream: slot for slot in self._slots if slot.stream is not None}
                ready, _ = self._ray.wait(list(busy), num_returns=1, timeout=0) if busy else ([], [])
        events, self._events = self._events, []
        return events

    def cancel(self, key: str) -> None:
        """See ``Executor.cancel``."""
        for slot in [slot for slot in self._slots if slot.key == key]:
            self._slots.remove(slot)
            self._ray.kill(slot.actor)
        self._events = [event for event in self._events if event.key != key]

    def close(self) -> None:
        """See ``Executor.close``."""
        for slot in self._slots:
            with suppress(Exception):  # it may be dead already
                self._ray.kill(slot.actor)
        self._slots.clear()
        self._events.clear()
        self._ray.shutdown()

    def _start(self, pool: Pool) -> _Slot:
        threads = str(max(1, int(pool.cpus)))
        actor = (
            self._ray.remote(_Worker)
            .options(
                num_cpus=pool.cpus,
                num_gpus=pool.gpus,
                resources=dict(pool.resources),
                runtime_env={"env_vars": {"OMP_NUM_THREADS": threads}},
            )
            .remote(self._code, list(pool.cores))
        )
        slot = _Slot(pool.name, actor)
        self._slots.append(slot)
        return slot

    def _take(self, slot: _Slot) -> None:
        """One message of a stream that has one, or its end."""
        assert slot.key is not None
        try:
            message: Mapping[str, Any] = json.loads(self._ray.get(next(slot.stream)))
        except StopIteration:
            slot.key = slot.stream = None
            return
        except self._ray.exceptions.RayError as error:
            self._slots.remove(slot)
            self._events.append(Event(slot.key, "lost", error=f"{type(error).__name__}: {error}"))
            return
        self._events.append(Event(slot.key, **message))
        if message["kind"] != "progress":
            slot.key = slot.stream = None
