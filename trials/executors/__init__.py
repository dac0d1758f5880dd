"""Executors: where jobs run.

A job is data (JSON values) and the name of a generator function; an executor calls ``function(payload)`` in a
worker and passes on what it yields. Execution is *at least once*: a lost worker is reported, never hidden, and the
study decides what happens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from nas.errors import JobError
from nas.extras import is_installed
from nas.registry import Registry


@dataclass(frozen=True)
class JobLimits:
    """What a job may take before its worker is killed. None: as much as it needs."""

    max_s: float | None = None
    #: Of the worker and all processes that the job started.
    max_memory_bytes: int | None = None
    #: Key of the plan that sets these limits, for messages.
    key: str = "resources"


@dataclass(frozen=True)
class Job:
    """One unit of work."""

    #: Unique for every attempt of every job.
    key: str
    #: ``"module:generator_function"``: yields JSON-able dicts; the last one is the result.
    function: str
    payload: Mapping[str, Any]
    #: A pool of workers: ``"train"`` or ``"target:<name>"``.
    pool: str
    limits: JobLimits = JobLimits()
    #: Folders that the job writes to; missing ones are made first. If the job fails and one of them is gone or can't be
    #: written to, the place is to blame.
    folders: Sequence[str] = ()


@dataclass(frozen=True)
class Event:
    """What a worker reported about a job."""

    key: str
    #: ``progress``: a value, as soon as it is yielded (also a sign of life).
    #: ``done``: the last yielded value once more, as the result.
    #: ``error``: the job is to blame. It raised, ended its process, crashed it, exceeded a limit or left processes.
    #: ``place``: the place is to blame: a full disk, a process killed from outside, a device that is away, a lost
    #: node. The same job may succeed later.
    #: ``lost``: the worker died, and it is not known why; the job may have run.
    kind: Literal["progress", "done", "error", "place", "lost"]
    value: Mapping[str, Any] = field(default_factory=dict)
    #: ``"Type: message"`` and the traceback, of errors.
    error: str = ""
    traceback: str = ""


@dataclass(frozen=True)
class Pool:
    """Workers of one kind."""

    name: str
    #: Jobs at a time.
    size: int
    cpus: float = 1.0
    gpus: float = 0.0
    #: Cores the pool's processes are bound to; empty leaves them alone. Applies on the coordinator's machine.
    cores: tuple[int, ...] = ()
    #: Ray resources a worker needs beside cpus and gpus, ``{"target:pi": 1}``.
    resources: Mapping[str, float] = field(default_factory=dict)
    #: Pools on the same cores: while a job of one of them runs, this pool starts none, and the other way round.
    turns_with: frozenset[str] = frozenset()
    #: Resource of a target → its core (None: the last one) and threads. On a cluster's node that offers the resource,
    #: this pool's workers are kept off those cores.
    keeps_off: Mapping[str, tuple[int | None, int]] = field(default_factory=dict)
    #: How long a cluster may offer no place for any worker of this pool while there are jobs for it.
    wait_s: float = 300.0

    @property
    def threads(self) -> str:
        """``OMP_NUM_THREADS`` of the pool's processes."""
        return str(max(1, int(self.cpus)))


#: Name of the pool of trainers.
TRAIN_POOL = "train"


def target_pool(target: str) -> str:
    """Name of the pool that measures a target; also of the Ray resource that its node offers."""
    return f"target:{target}"


def pool_named(pools: Mapping[str, Pool], name: str) -> Pool:
    """One of an executor's pools.

    Raises:
        JobError: there is none of that name.
    """
    if name not in pools:
        raise JobError(f"no pool {name!r}; this executor was started with {', '.join(pools)}")
    return pools[name]


class Executor(ABC):
    """Runs jobs in pools of workers.

    Used by one thread. Workers outlive jobs and die with the coordinator, however that dies, and so do processes
    that jobs started. ``close`` ends all workers, never raises, and is safe to call twice; jobs unfinished by then are
    never reported.
    """

    @abstractmethod
    def __init__(self, pools: Sequence[Pool], *, code: Sequence[str] = (), address: str | None = None) -> None:
        """Start. ``code``: folders put on the workers' import path; ``address``: of a cluster, where there is one.

        Raises:
            JobError: nothing answers at ``address``, or this executor knows no clusters.
        """

    @abstractmethod
    def free(self, pool: str) -> int:
        """How many more jobs ``pool`` could start now."""

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Take a job.

        Raises:
            JobError: its pool is full or unknown.
        """

    @abstractmethod
    def poll(self, timeout_s: float) -> list[Event]:
        """What happened since the last call, waiting up to ``timeout_s`` for the first event. Order is kept per job."""

    @abstractmethod
    def cancel(self, key: str) -> None:
        """Stop a job, by killing its worker if need be; no event follows. An unknown key is harmless."""

    @abstractmethod
    def close(self) -> None:
        """End all workers."""


def default_executor() -> str:
    """What runs the jobs of a plan that names no executor."""
    return "ray_actors" if is_installed("ray") else "local"


EXECUTORS: Registry[type[Executor]] = Registry(
    "executors",
    {
        "local": "trials.executors.local:LocalExecutor",
        "ray_actors": "trials.executors.ray_actors:RayActorsExecutor",
        "ray_tune": "trials.executors.ray_tune:RayTuneExecutor",
    },
    subclasses_of=Executor,
)
