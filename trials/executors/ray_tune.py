"""The executor that runs jobs as trials of a ``tune.Tuner``, for clusters with tools that monitor Ray Tune."""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import ray
from ray import tune
from ray.tune import Stopper
from ray.tune.search import Searcher

from nas.errors import JobError
from nas.scratch import Scratch, sweep
from trials.executors import Cluster, Event, Executor, Job, Pool, pool_named
from trials.executors.cluster.capacity import Capacity
from trials.executors.cluster.connection import connect, worker_cores
from trials.executors.cluster.places import Waiting
from trials.executors.cluster.supervised import Supervised, to_json
from trials.executors.cluster.survey import survey
from trials.executors.cluster.vigil import CHECK_S, Process, Vigil, this_process

log = logging.getLogger(__name__)

#: Seconds to wait for the end of a Tuner.
CLOSE_S = 20.0

#: Settings of Tune: use the old output, which has a quiet mode; allow results without metrics; write no results to a
#: trial's folder, because nobody reads them; and run jobs in the working folder, as other executors do.
SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


@dataclass
class _Running:
    """A job that was given to Tune, and its process once that is known."""

    job: Job
    process: Process | None = None


class RayTuneExecutor(Executor):
    """Jobs run as trials of a ``tune.Tuner``, for clusters with tools that monitor Ray Tune.

    It needs ``pip install 'measured-nas[ray]'``. A Tuner in a thread requests trials and receives submitted jobs.
    The loop of Tune makes it slower than ``ray_actors``.
    """

    def __init__(self, pools: Sequence[Pool], *, code: Sequence[str] = (), address: str | None = None) -> None:
        self._pools = {pool.name: pool for pool in pools}
        self._sizes = {pool.name: pool.size for pool in pools}
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        connection = connect(pools, code, address)
        self._code = connection.code
        self._on_cluster = address is not None
        self._vigil = Vigil(connection.ray)
        self._capacity = Capacity(connection.ray, self._vigil, self._pools)
        self._waiting_for = {pool.name: Waiting(connection.ray, pool) for pool in pools}
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a lost trial is reported as an event instead
        self._waiting: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._jobs: dict[str, _Running] = {}
        self.closed = threading.Event()
        self._folder = Scratch("nas-tune-")
        self._thread = threading.Thread(target=self._tune, daemon=True)
        self._thread.start()

    def free(self, pool: str) -> int:
        """See ``Executor.free``."""
        size = self._sizes[pool_named(self._pools, pool).name]
        return max(0, size - sum(running.job.pool == pool for running in self._jobs.values()))

    def submit(self, job: Job) -> None:
        """See ``Executor.submit``."""
        if self.free(job.pool) < 1:
            raise JobError(f"pool {job.pool!r} is full; ask free() before submitting {job.key!r}")
        self._jobs[job.key] = _Running(job)
        self._waiting.put(job)
        if not self._thread.is_alive():
            self._events.put(Event(job.key, "place", error="Tune has ended"))

    def poll(self, timeout_s: float) -> list[Event]:
        """See ``Executor.poll``."""
        found: list[Event] = []
        deadline = time.monotonic() + timeout_s
        while True:
            self._watch()
            left_s = 0.0 if found else max(0.0, deadline - time.monotonic())
            event = self._next_event(min(left_s, CHECK_S))
            if event is None and (found or left_s == 0):
                return found
            if event is not None and event.key in self._jobs:
                found.append(event)
                if event.kind != "progress":
                    del self._jobs[event.key]

    def cancel(self, key: str) -> None:
        """See ``Executor.cancel``."""
        running = self._jobs.pop(key, None)
        if running is not None and running.process is not None:
            self._vigil.end(running.process)

    @property
    def crowded(self) -> Sequence[str]:
        """See ``Executor.crowded``."""
        return [name for name, waiting in self._waiting_for.items() if waiting.is_long]

    def cluster(self) -> Cluster | None:
        """See ``Executor.cluster``."""
        return self._capacity.cluster() if self._on_cluster and not self.nodes_join else None

    def resize(self, pool: str, size: int) -> None:
        """See ``Executor.resize``."""
        self._sizes[pool] = max(1, min(size, pool_named(self._pools, pool).size))

    def problems(self, paths: Mapping[str, str], shared: str | None) -> list[str]:
        """See ``Executor.problems``."""
        needed = [] if self.nodes_join else list(self._pools.values())
        return survey(ray, needed, paths, shared) if self._on_cluster else []

    def close(self) -> None:
        """See ``Executor.close``."""
        if self.closed.is_set():
            return
        self.closed.set()
        for key in list(self._jobs):
            self.cancel(key)
        self._waiting.put(None)
        self._thread.join(CLOSE_S)
        self._vigil.leave([])
        ray.shutdown()
        self._folder.close()
        sweep()  # killed workers leave their temporary folders behind

    def _next_event(self, timeout_s: float) -> Event | None:
        with suppress(queue.Empty):
            return self._events.get(timeout=timeout_s) if timeout_s else self._events.get_nowait()
        return None

    def _watch(self) -> None:
        """Find dead processes and pools without room, which Tune may never report."""
        running = {item.process: key for key, item in list(self._jobs.items()) if item.process is not None}
        for process in self._vigil.dead(running):
            self._events.put(Event(running[process], "place", error="its process ended"))
        for name, waiting in self._waiting_for.items():
            waiting.note(missing=not running and any(item.job.pool == name for item in self._jobs.values()))

    # -- called in Tune's thread

    def next_job(self, *, wait: bool) -> Job | None:
        """Return a submitted job that no trial has yet; ``wait``: wait for one, or for the end."""
        while True:
            try:
                job = self._waiting.get(block=wait)
            except queue.Empty:
                return None
            if job is None or job.key in self._jobs:
                return job

    def heard(self, key: str, message: dict[str, Any]) -> None:
        """Handle a report of a trial: the process it runs in, or a message of its job."""
        if "kind" in message:
            self._events.put(Event(key, **message))
            return
        process, running = Process(**message), self._jobs.get(key)
        if running is not None:
            running.process = process
        if self._jobs.get(key) is None:  # cancelled before its process was known, or just now
            self._vigil.end(process)

    def _tune(self) -> None:
        try:
            self._tuner().fit()
        except BaseException as error:
            if not self.closed.is_set():
                log.exception("Tune ended")
                reason = f"Tune ended: {type(error).__name__}: {error}"
                for key in list(self._jobs):
                    self._events.put(Event(key, "place", error=reason))

    def _tuner(self) -> Any:
        return tune.Tuner(
            _trainable(self._pools, self._code),
            tune_config=tune.TuneConfig(
                search_alg=_Searcher(self),
                num_samples=-1,
                max_concurrent_trials=sum(pool.size for pool in self._pools.values()),
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                storage_path=self._folder.name,
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=0),
                stop=_WhenClosed(self.closed),
            ),
        )


class _Searcher(Searcher):  # type: ignore[misc]
    """Gives submitted jobs to Tune, and passes the reports of trials to the executor."""

    def __init__(self, executor: RayTuneExecutor) -> None:
        super().__init__(metric="message", mode="max")
        self._executor = executor
        self._keys: dict[str, str] = {}

    def suggest(self, trial_id: str) -> Any:
        # Without waiting here, Tune would sleep for a second whenever nothing runs and nothing is suggested.
        job = self._executor.next_job(wait=not self._keys)
        if job is None:
            return Searcher.FINISHED if self._executor.closed.is_set() else None
        self._keys[trial_id] = job.key
        return {"job": to_json(job), "pool": job.pool}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self._executor.heard(self._keys[trial_id], json.loads(result["message"]))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        key = self._keys.pop(trial_id, None)
        if error and key is not None:
            self._executor.heard(key, {"kind": "place", "error": "the trial's actor ended"})

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the database holds all state."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the database holds all state."""

    def __getstate__(self) -> dict[str, Any]:
        """Return no state: Tune stores the searcher regularly, but this one can't be continued."""
        return {}


class _WhenClosed(Stopper):  # type: ignore[misc]
    """Stops all trials once the executor is closed."""

    def __init__(self, closed: threading.Event) -> None:
        self._closed = closed

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return self._closed.is_set()

    def stop_all(self) -> bool:
        return self._closed.is_set()

    def __getstate__(self) -> dict[str, Any]:
        return {}


def _trainable(pools: dict[str, Pool], code: Sequence[str]) -> Callable[[dict[str, Any]], None]:
    """Return the function that Tune runs for each job, with the resources of the job's pool."""

    def trainable(config: dict[str, Any]) -> None:
        pool = pools[config["pool"]]
        os.environ["OMP_NUM_THREADS"] = pool.threads
        process = this_process(ray.get_runtime_context().get_node_id())
        tune.report({"message": json.dumps(asdict(process))})
        for message in _supervised(pool, code).run(config["job"]):
            tune.report({"message": message})

    def resources(config: dict[str, Any]) -> Any:
        pool = pools[config["pool"]]
        bundle = {"CPU": pool.cpus, **({"GPU": pool.gpus} if pool.gpus else {}), **pool.resources}
        bundle |= {"memory": pool.memory_bytes} if pool.memory_bytes else {}
        return tune.PlacementGroupFactory([bundle])

    return tune.with_resources(trainable, resources)  # type: ignore[no-any-return]


#: Pool → its worker in this process, which is reused because Tune runs one trial after the other here.
_workers: dict[str, Supervised] = {}


def _supervised(pool: Pool, code: Sequence[str]) -> Supervised:
    if pool.name not in _workers:
        _workers[pool.name] = Supervised(code, pool, worker_cores(pool))
    return _workers[pool.name]
