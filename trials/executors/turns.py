"""Pools on the same cores take turns: a measurement beside a training on its cores would be worth nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trials.executors import Event, Executor, Job, Pool, pool_named


class TurnTaking(Executor):
    """Another executor, of which pools that share cores never run jobs at the same time."""

    def __init__(self, executor: Executor, pools: Sequence[Pool]) -> None:
        """``executor`` was started with these ``pools``."""
        self._executor = executor
        self._pools = {pool.name: pool for pool in both_ways(pools)}
        #: Key of a submitted job that has not ended → its pool.
        self._running: dict[str, str] = {}

    def free(self, pool: str) -> int:
        """See ``Executor.free``."""
        others = pool_named(self._pools, pool).turns_with
        return 0 if others & set(self._running.values()) else self._executor.free(pool)

    def submit(self, job: Job) -> None:
        """See ``Executor.submit``."""
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


def both_ways(pools: Sequence[Pool]) -> list[Pool]:
    """The pools, with each named by those that it takes turns with."""
    return [
        replace(pool, turns_with=pool.turns_with | {other.name for other in pools if pool.name in other.turns_with})
        for pool in pools
    ]
