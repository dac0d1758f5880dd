"""Executors run jobs in worker processes, on this machine or on a cluster.

A job consists of JSON values and the name of a generator function. An executor calls ``function(payload)`` in a worker
and reports every value that it yields. A job may run more than once: if a worker is lost, the executor reports that,
and the study decides whether to run the job again.
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
    """Limits of a job; its worker is killed if the job exceeds one. None: no limit."""

    max_s: float | None = None
    #: Largest memory of the worker and all processes that the job started.
    max_memory_bytes: int | None = None
    #: Key of the plan that sets these limits, for messages.
    key: str = "resources"


@dataclass(frozen=True)
class Job:
    """One unit of work."""

    #: Unique key of this attempt of the job.
    key: str
    #: ``"module:generator_function"``; the function yields dicts of JSON values, and the last one is the result.
    function: str
    payload: Mapping[str, Any]
    #: A pool of workers: ``"train"`` or ``"target:<name>"``.
    pool: str
    limits: JobLimits = JobLimits()
    #: Folders that the job writes to; missing folders are created first. If the job fails and one of them is missing or
    #: not writable, the failure counts as a fault of the place.
    folders: Sequence[str] = ()


@dataclass(frozen=True)
class Event:
    """A report about a job."""

    key: str
    #: ``progress``: a yielded value, reported at once; it also shows that the job is alive.
    #: ``done``: the last yielded value again, as the result.
    #: ``error``: the job caused a failure. It raised, ended or crashed its process, exceeded a limit or left processes
    #: behind.
    #: ``place``: the place caused a failure: a full disk, a process killed from outside, a device that does not answer,
    #: a lost node. The same job may succeed later.
    #: ``lost``: the worker died for an unknown reason; the job may have run.
    kind: Literal["progress", "done", "error", "place", "lost"]
    value: Mapping[str, Any] = field(default_factory=dict)
    #: For failures: ``"Type: message"``, and the traceback.
    error: str = ""
    traceback: str = ""


@dataclass(frozen=True)
class Pool:
    """A pool of workers for one kind of job."""

    name: str
    #: Number of jobs that run at the same time.
    size: int
    cpus: float = 1.0
    gpus: float = 0.0
    #: Memory that a worker reserves on a node of a cluster; 0: none is reserved.
    memory_bytes: int = 0
    #: Cores that the pool's processes are bound to, on the coordinator's machine; empty: not bound.
    cores: tuple[int, ...] = ()
    #: Ray resources that a worker needs in addition to cpus and gpus, as in ``{"target:pi": 1}``.
    resources: Mapping[str, float] = field(default_factory=dict)
    #: Pools on the same cores. This pool starts no job while one of them runs a job, and vice versa.
    turns_with: frozenset[str] = frozenset()
    #: Resource of a target → its core (None: the last core) and threads. On a cluster node that has the resource, this
    #: pool's workers do not use the target's cores.
    keeps_off: Mapping[str, tuple[int | None, int]] = field(default_factory=dict)
    #: Longest time for which a cluster may have no room for any worker of this pool while there are jobs for it; None:
    #: without limit as long as a node has the room, though others use it.
    wait_s: float | None = None

    @property
    def threads(self) -> str:
        """``OMP_NUM_THREADS`` of the pool's processes."""
        return str(max(1, int(self.cpus)))


@dataclass(frozen=True)
class Cluster:
    """A cluster that several studies may use."""

    #: Distinguishes the cluster from all others.
    id: str
    #: Resources of each node, in use or not, by Ray's names.
    nodes: Sequence[Mapping[str, float]]
    #: Pool → its size, and the resources that each of its workers takes.
    pools: Mapping[str, tuple[int, Mapping[str, float]]]


#: Name of the pool of training workers.
TRAIN_POOL = "train"


def target_pool(target: str) -> str:
    """Return the name of the pool that measures a target; the Ray resource of the target's node has the same name."""
    return f"target:{target}"


def pool_named(pools: Mapping[str, Pool], name: str) -> Pool:
    """Return the pool of this name.

    Raises:
        JobError: no pool has this name.
    """
    if name not in pools:
        raise JobError(f"no pool {name!r}; this executor was started with {', '.join(pools)}")
    return pools[name]


class Executor(ABC):
    """Runs jobs in pools of workers.

    An executor is used by one thread. Workers outlive jobs. Workers and all processes that jobs started end when the
    coordinator ends, in whatever way it ends. ``close`` ends all workers, never raises, and may be called twice; jobs
    that have not finished by then are not reported.

    Attributes:
        nodes_join: whether nodes join the cluster when they are needed; set by who opens the executor.
    """

    nodes_join = False

    @abstractmethod
    def __init__(self, pools: Sequence[Pool], *, code: Sequence[str] = (), address: str | None = None) -> None:
        """Start the executor.

        Args:
            pools: the pools of workers.
            code: folders to add to the workers' import path.
            address: address of a cluster, for executors that support clusters.

        Raises:
            JobError: nothing answers at ``address``, or this executor does not support clusters.
        """

    @abstractmethod
    def free(self, pool: str) -> int:
        """Return how many more jobs ``pool`` could start now."""

    def turns_with(self, pool: str) -> frozenset[str]:
        """Return the pools on the cores of ``pool``; ``free`` is 0 while one of them runs a job."""
        return frozenset()

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Accept a job and run it.

        Raises:
            JobError: the job's pool is full or unknown.
        """

    @abstractmethod
    def poll(self, timeout_s: float) -> list[Event]:
        """Return the events since the last call, each job's in order; wait up to ``timeout_s`` for the first."""

    @abstractmethod
    def cancel(self, key: str) -> None:
        """Stop a job, if necessary by killing its worker; no event follows. Unknown keys are ignored."""

    @property
    def crowded(self) -> Sequence[str]:
        """Names of the pools that have jobs, but for a while have had no room on the cluster for any worker."""
        return ()

    def cluster(self) -> Cluster | None:
        """Return the cluster whose nodes the workers share with those of other studies; None if there is none.

        The number of nodes that join when they are needed is not known before, so such a cluster is not shared.
        """
        return None

    def resize(self, pool: str, size: int) -> None:
        """Let a pool have at most ``size`` workers from now on, at least one and never more than the pool's own size.

        Workers without a job end at once, others when their job ends.

        Raises:
            JobError: this executor supports no clusters.
        """
        raise JobError(f"{type(self).__name__} supports no clusters, so pool {pool!r} keeps its size")

    def problems(self, paths: Mapping[str, str], shared: str | None) -> list[str]:
        """Return what the nodes of a cluster lack, one message each; an executor without a cluster returns nothing.

        If nodes join when they are needed, resources that no node has are no problem.

        Args:
            paths: key of the plan → a file or folder that every worker must be able to read.
            shared: a folder in which every worker must see the files of this process; None if there is none.

        Raises:
            PlanError: this process can't write to ``shared``.
        """
        return []

    @abstractmethod
    def close(self) -> None:
        """End all workers."""


def default_executor() -> str:
    """Return the name of the executor for plans that do not name one."""
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
