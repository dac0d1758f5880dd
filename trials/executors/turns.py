"""Make pools on the same cores take turns, because a training on the measuring cores would spoil a measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nas.errors import JobError
from trials.executors import Event, Executor, Job, Pool, pool_named


class TurnTaking(Executor):
    """Wraps an executor so that pools that share cores never run jobs at the same time."""

    def __init__(self, executor: Executor, pools: Sequence[Pool]) -> None:
        """Wrap ``executor``, which was started with these ``pools``."""
        self._executor = executor
        self._pools = {pool.name: pool for pool in both_ways(pools)}
        #: Key of each unfinished job → its pool.
        self._running: dict[str, str] = {}

    def free(self, pool: str) -> int:
        """See ``Executor.free``."""
        return 0 if self._busy(pool) else self._executor.free(pool)

    def turns_with(self, pool: str) -> frozenset[str]:
        """See ``Executor.turns_with``."""
        return pool_named(self._pools, pool).turns_with

    def submit(self, job: Job) -> None:
        """See ``Executor.submit``."""
        if busy := self._busy(job.pool):
            raise JobError(f"pool {job.pool!r} takes turns with {', '.join(sorted(busy))}, which runs a job")
        self._executor.submit(job)
        self._running[job.key] = job.pool

    def poll(self, timeout_s: float) -> list[Event]:
        """See ``Executor.poll``."""
        events = self._executor.poll(timeout_s)
        for event in events:
            if event.kind != "progress":
                self._running.pop(event.key, None)
        return events

    def cancel(self, key: str) -> None:
        """See ``Executor.cancel``."""
        self._executor.cancel(key)
        self._running.pop(key, None)

    def close(self) -> None:
        """See ``Executor.close``."""
        self._executor.close()
        self._running.clear()

    def _busy(self, pool: str) -> frozenset[str]:
        """Pools on the cores of ``pool`` that run jobs."""
        return self.turns_with(pool) & frozenset(self._running.values())


def both_ways(pools: Sequence[Pool]) -> list[Pool]:
    """Return the pools with ``turns_with`` made symmetric."""
    return [
        replace(pool, turns_with=pool.turns_with | {other.name for other in pools if pool.name in other.turns_with})
        for pool in pools
    ]
