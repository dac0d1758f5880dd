"""The executor with one Ray actor per slot of a pool, on this machine or a cluster; the default if Ray is installed."""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Literal

from nas.errors import ClusterError, JobError
from nas.extras import require
from trials.executors import Cluster, Event, Executor, Job, Pool, pool_named
from trials.executors.cluster.capacity import Capacity
from trials.executors.cluster.connection import connect
from trials.executors.cluster.places import Waiting
from trials.executors.cluster.slots import Slot, Slots, by_answer, fitted
from trials.executors.cluster.survey import survey
from trials.executors.cluster.vigil import CHECK_S, Vigil, clear

require("ray", "executors: 'ray_actors'")  # imported when the executor starts: that takes seconds

#: Number of actors of a pool in a row that may die before they have started.
MAX_FAILED_STARTS = 3
#: Seconds to wait for room for targets before other actors start; if there is room, reserving takes milliseconds.
RESERVE_S = 2.0


class RayActorsExecutor(Executor):
    """Jobs run in Ray actors, on this machine or on the cluster at ``--address``.

    It is the default if Ray is installed. It needs ``pip install 'measured-nas[ray]'``. Actors die with this process
    and with its connection to the cluster. ``poll`` raises ClusterError if the cluster is gone, or if it has had no
    place for any worker of a pool for too long.
    """

    def __init__(self, pools: Sequence[Pool], *, code: Sequence[str] = (), address: str | None = None) -> None:
        self._pools = {pool.name: pool for pool in pools}
        self._sizes = {pool.name: pool.size for pool in pools}
        connection = connect(pools, code, address)
        self._ray = connection.ray
        self._on_cluster = address is not None
        self._actors = Slots(connection.ray, connection.code, pools)
        self._vigil = Vigil(connection.ray)
        self._capacity = Capacity(connection.ray, self._vigil, self._pools)
        self._waiting = {pool.name: Waiting(connection.ray, pool) for pool in pools}
        self._failed_starts: Counter[str] = Counter()
        self._queue: deque[Job] = deque()
        #: Pools that the coordinator has work for.
        self._wanted: set[str] = set()
        self._events: list[Event] = []
        # All actors start now: their start takes about as long as the work of a study before its first training.
        self._slots = [Slot(pool) for pool in pools for _ in range(pool.size)]
        self._actors.start(self._slots, RESERVE_S)

    def free(self, pool: str) -> int:
        """See ``Executor.free``."""
        size = self._sizes[pool_named(self._pools, pool).name]
        self._wanted.add(pool)
        coming = sum(slot.coming for slot in self._slots if slot.pool.name == pool)
        return max(0, min(size, coming) - self._num_given(pool))

    def submit(self, job: Job) -> None:
        """See ``Executor.submit``."""
        # A worker that takes long to start still gets the job that it was free for.
        if pool_named(self._pools, job.pool).size <= self._num_given(job.pool):
            raise JobError(f"pool {job.pool!r} is full; ask free() before submitting {job.key!r}")
        self._queue.append(job)
        self._give()

    def poll(self, timeout_s: float) -> list[Event]:
        """See ``Executor.poll``."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._watch()
            left_s = 0.0 if self._events else max(0.0, deadline - time.monotonic())
            if not self._hear(min(left_s, CHECK_S)) and (self._events or left_s == 0):
                break
        events, self._events = self._events, []
        return events

    def cancel(self, key: str) -> None:
        """See ``Executor.cancel``."""
        self._queue = deque(job for job in self._queue if job.key != key)
        for slot in [slot for slot in self._slots if slot.job is not None and slot.job.key == key]:
            self._replace(slot)
        self._events = [event for event in self._events if event.key != key]

    @property
    def crowded(self) -> Sequence[str]:
        """See ``Executor.crowded``."""
        return [name for name, waiting in self._waiting.items() if waiting.is_long]

    def cluster(self) -> Cluster | None:
        """See ``Executor.cluster``."""
        return self._capacity.cluster() if self._on_cluster and not self.nodes_join else None

    def resize(self, pool: str, size: int) -> None:
        """See ``Executor.resize``."""
        self._sizes[pool] = max(1, min(size, pool_named(self._pools, pool).size))

    def problems(self, paths: Mapping[str, str], shared: str | None) -> list[str]:
        """See ``Executor.problems``."""
        needed = [] if self.nodes_join else list(self._pools.values())
        return survey(self._ray, needed, paths, shared) if self._on_cluster else []

    def close(self) -> None:
        """See ``Executor.close``."""
        processes = [slot.process for slot in self._slots if slot.process is not None]
        for slot in self._slots:
            self._actors.kill(slot)
        self._vigil.leave([process for process in processes if not self._vigil.is_here(process)])
        self._slots.clear()
        self._queue.clear()
        self._events.clear()
        self._ray.shutdown()
        # Only now, because Ray reports the end of a process that it did not end itself.
        clear([process.pid for process in processes if self._vigil.is_here(process)])

    def _num_given(self, pool: str) -> int:
        """Number of jobs that a pool has."""
        running = sum(slot.job is not None for slot in self._slots if slot.pool.name == pool)
        return running + sum(job.pool == pool for job in self._queue)

    def _give(self) -> None:
        """Give waiting jobs to running actors without a job."""
        idle = [slot for slot in self._slots if slot.process is not None and slot.job is None]
        for job in list(self._queue):
            slot = next((slot for slot in idle if slot.pool.name == job.pool), None)
            if slot is not None:
                idle.remove(slot)
                self._queue.remove(job)
                self._actors.give(slot, job)

    def _watch(self) -> None:
        """Find dead processes and pools without room, which Ray may never report."""
        dead = self._vigil.dead([slot.process for slot in self._slots if slot.process is not None])
        for slot in [slot for slot in self._slots if slot.process in dead]:
            self._lost(slot, "place", "its process ended")
        self._slots, surplus = fitted(self._slots, [(pool, self._sizes[name]) for name, pool in self._pools.items()])
        for slot in surplus:
            self._kill(slot)
        self._actors.start(self._slots, 0)
        for name, waiting in self._waiting.items():
            placed = any(slot.process is not None for slot in self._slots if slot.pool.name == name)
            waiting.note(missing=name in self._wanted and not placed)

    def _hear(self, timeout_s: float) -> bool:
        """Wait for one answer of an actor; return whether there was one."""
        answers = by_answer(self._slots)
        if not answers:
            time.sleep(timeout_s)
            return False
        ready, _ = self._ray.wait(list(answers), num_returns=1, timeout=timeout_s)
        for answer in ready:
            slot = answers[answer]
            (self._started if slot.process is None else self._take)(slot)
            self._give()
        return bool(ready)

    def _started(self, slot: Slot) -> None:
        """Handle an actor that has started, or died while starting."""
        name = slot.pool.name
        try:
            slot.process = self._ray.get(slot.started)
        except self._ray.exceptions.RayError as error:
            self._failed_starts[name] += 1
            if self._failed_starts[name] >= MAX_FAILED_STARTS:
                raise ClusterError(
                    f"the workers of pool {name!r} died as they started, {MAX_FAILED_STARTS} times: "
                    f"{type(error).__name__}: {error}. Check that this project and the plan's code can be imported on "
                    "the nodes of the cluster"
                ) from error
            self._replace(slot)
        else:
            del self._failed_starts[name]
            self._wanted.discard(name)

    def _take(self, slot: Slot) -> None:
        """Read the next message of a job, or notice that its actor is lost."""
        assert slot.job is not None
        try:
            message = json.loads(self._ray.get(next(slot.stream)))
        except (self._ray.exceptions.RayError, StopIteration) as error:
            # The job runs in a child process of the actor, so it can have ended the actor only by using all memory.
            out_of_memory = isinstance(error, self._ray.exceptions.OutOfMemoryError)
            reason = str(error).partition("\n")[0]  # the rest are ids of Ray's
            self._lost(slot, "lost" if out_of_memory else "place", f"{type(error).__name__}: {reason}")
            return
        self._events.append(Event(slot.job.key, **message))
        if message["kind"] != "progress":
            slot.job = slot.stream = None

    def _lost(self, slot: Slot, kind: Literal["lost", "place"], reason: str) -> None:
        if slot.job is not None:
            self._events.append(Event(slot.job.key, kind, error=reason))
        self._replace(slot)

    def _replace(self, slot: Slot) -> None:
        self._kill(slot)
        self._slots[self._slots.index(slot)] = Slot(slot.pool)
        self._actors.start(self._slots, 0)

    def _kill(self, slot: Slot) -> None:
        if slot.process is not None:
            self._vigil.end(slot.process)
        self._actors.kill(slot)
