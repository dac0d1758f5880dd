"""The same jobs as trials of a ``tune.Tuner``, for clusters whose tools watch Tune."""

from __future__ import annotations

import json
import logging
import os
import queue
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray import tune
from ray.tune import Stopper
from ray.tune.search import Searcher
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from nas.errors import JobError
from trials.executors import Event, Executor, Job, Pool
from trials.executors.cluster import connect
from trials.executors.worker import prepare, run

log = logging.getLogger(__name__)

#: How long the end of a Tuner is waited for.
CLOSE_S = 20.0


@dataclass
class _Running:
    """A job Tune has, and where it runs once that is known."""

    job: Job
    pid: int | None = None
    node: str | None = None


class RayTuneExecutor(Executor):
    """A Tuner in a thread asks for trials; a submitted job is the next one. Slower than actors by Tune's own loop."""

    def __init__(self, pools: Sequence[Pool], *, code: Sequence[str] = (), address: str | None = None) -> None:
        self._pools = {pool.name: pool for pool in pools}
        os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # the other output has a quiet mode
        os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")  # what trials report are messages
        self._code = connect(pools, code, address).code
        self._waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._jobs: dict[str, _Running] = {}
        self.closed = threading.Event()
        self._folder = tempfile.mkdtemp(prefix="nas-tune-")
        self._thread = threading.Thread(target=self._tune, daemon=True)
        self._thread.start()

    def free(self, pool: str) -> int:
        """See ``Executor.free``."""
        busy = sum(item.job.pool == pool for item in self._jobs.values())
        return self._pools[pool].size - busy

    def submit(self, job: Job) -> None:
        """See ``Executor.submit``."""
        if self.free(job.pool) < 1:
            raise JobError(f"pool {job.pool!r} is full; ask free() before submitting {job.key!r}")
        self._jobs[job.key] = _Running(job)
        self._waiting.put(job)

    def poll(self, timeout_s: float) -> list[Event]:
        """See ``Executor.poll``."""
        found: list[Event] = []
        deadline = time.monotonic() + timeout_s
        while True:
            left = 0.0 if found else max(0.0, deadline - time.monotonic())
            try:
                event = self._events.get(timeout=left) if left else self._events.get_nowait()
            except queue.Empty:
                return found
            if event.key in self._jobs:
                found.append(event)
                if event.kind != "progress":
                    del self._jobs[event.key]

    def cancel(self, key: str) -> None:
        """See ``Executor.cancel``."""
        running = self._jobs.pop(key, None)
        if running is not None and running.pid is not None:
            self._kill(running)

    def close(self) -> None:
        """See ``Executor.close``."""
        if self.closed.is_set():
            return
        self.closed.set()
        for running in self._jobs.values():
            if running.pid is not None:
                self._kill(running)
        self._jobs.clear()
        self._thread.join(CLOSE_S)
        ray.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)

    def next_job(self) -> Job | None:
        """A submitted job that no trial has yet."""
        try:
            return self._waiting.get_nowait()
        except queue.Empty:
            return None

    def heard(self, key: str, message: dict[str, Any]) -> None:
        """A trial reported: where it runs, or something about its job."""
        running = self._jobs.get(key)
        if "kind" in message:
            self._events.put(Event(key, **message))
        elif running is not None:
            running.pid, running.node = message["pid"], message["node"]

    def _kill(self, running: _Running) -> None:
        """End a trial's process, where it runs: Tune itself stops trials only when they report."""
        there = NodeAffinitySchedulingStrategy(running.node, soft=False)
        kill = ray.remote(os.kill).options(num_cpus=0, scheduling_strategy=there, max_retries=0)
        ray.wait([kill.remote(running.pid, signal.SIGKILL)], timeout=5)

    def _tune(self) -> None:
        try:
            tune.Tuner(
                _trainable(self._pools, self._code),
                tune_config=tune.TuneConfig(
                    search_alg=_Searcher(self),
                    num_samples=-1,
                    max_concurrent_trials=sum(pool.size for pool in self._pools.values()),
                    reuse_actors=True,
                ),
                run_config=tune.RunConfig(
                    storage_path=self._folder,
                    verbose=0,
                    failure_config=tune.FailureConfig(max_failures=0),
                    stop=_WhenClosed(self.closed),
                ),
            ).fit()
        except BaseException as error:  # whatever ends Tune loses every job it had
            log.warning("Tune ended", exc_info=error)
            for key in list(self._jobs):
                self._events.put(Event(key, "lost", error=f"Tune ended: {type(error).__name__}: {error}"))


class _Searcher(Searcher):  # type: ignore[misc]
    """Hands out submitted jobs and takes what trials report."""

    def __init__(self, executor: RayTuneExecutor) -> None:
        super().__init__(metric="message", mode="max")
        self._executor = executor
        self._keys: dict[str, str] = {}

    def suggest(self, trial_id: str) -> Any:
        job = self._executor.next_job()
        if job is None:
            return Searcher.FINISHED if self._executor.closed.is_set() else None
        self._keys[trial_id] = job.key
        return {"function": job.function, "payload": json.dumps(dict(job.payload)), "pool": job.pool}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self._executor.heard(self._keys[trial_id], json.loads(result["message"]))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if error and trial_id in self._keys:
            lost = {"kind": "lost", "error": "the trial's process ended"}
            self._executor.heard(self._keys[trial_id], lost)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the database remembers."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the database remembers."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune writes its parts to disk as it goes; there is nothing in this one to go on from."""
        return {}


class _WhenClosed(Stopper):  # type: ignore[misc]
    """Ends everything once the executor is closed."""

    def __init__(self, closed: threading.Event) -> None:
        self._closed = closed

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return self._closed.is_set()

    def stop_all(self) -> bool:
        return self._closed.is_set()

    def __getstate__(self) -> dict[str, Any]:
        return {}


def _trainable(pools: dict[str, Pool], code: Sequence[str]) -> Any:
    """The function Tune runs for each job, with the resources of the job's pool."""

    def trainable(config: dict[str, Any]) -> None:
        prepare(code, pools[config["pool"]].cores)
        node = ray.get_runtime_context().get_node_id()
        tune.report({"message": json.dumps({"pid": os.getpid(), "node": node})})
        for message in run(config["function"], json.loads(config["payload"])):
            tune.report({"message": json.dumps(message)})

    def resources(config: dict[str, Any]) -> Any:
        pool = pools[config["pool"]]
        bundle = {"CPU": pool.cpus, **({"GPU": pool.gpus} if pool.gpus else {}), **pool.resources}
        return tune.PlacementGroupFactory([bundle])

    return tune.with_resources(trainable, resources)
