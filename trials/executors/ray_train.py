"""The executor whose jobs each run in several processes at once, as workers of Ray Train with a torch process group."""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nas.errors import JobError
from nas.extras import require
from nas.scratch import Scratch, sweep
from trials.executors import Event, Executor, Job, Pool, pool_named
from trials.executors.cluster.connection import connect
from trials.executors.worker import run

require("ray", "training with several workers")

#: Seconds between two looks at the queue of messages, and for Ray Train to end after the last message.
CHECK_S, ENDS_S = 0.2, 30.0


class RayTrainExecutor(Executor):
    """Runs one job at a time, in ``workers`` processes that torch.distributed connects (backend gloo, or nccl on GPUs).

    Every process calls the job's function. The messages of the first one are reported, and the errors of all.

    Args:
        pools: one pool; ``size`` counts jobs and is taken as 1.
        workers: number of processes of a job.
        code: see ``Executor``.
        address: see ``Executor``.
    """

    def __init__(
        self, pools: Sequence[Pool], *, workers: int, code: Sequence[str] = (), address: str | None = None
    ) -> None:
        (self._pool,) = pools
        self._workers = workers
        connection = connect([replace(self._pool, size=workers)], code, address)
        self._ray, self._code = connection.ray, connection.code
        self._folder = Scratch("nas-ray-train-")
        self._job: Job | None = None
        self._queue: Any = None
        self._fitting: threading.Thread | None = None
        #: Why Ray Train ended, once it has: an error, or an empty text.
        self._ended: list[str] = []

    def free(self, pool: str) -> int:
        """See ``Executor.free``."""
        pool_named({self._pool.name: self._pool}, pool)
        return int(self._job is None)

    def submit(self, job: Job) -> None:
        """See ``Executor.submit``."""
        if not self.free(job.pool):
            raise JobError(f"pool {job.pool!r} is full; ask free() before submitting {job.key!r}")
        from ray.util.queue import Queue

        self._job, self._ended, self._queue = job, [], Queue(actor_options={"num_cpus": 0})
        self._fitting = threading.Thread(target=self._fit, args=(job, self._queue, self._ended), daemon=True)
        self._fitting.start()

    def poll(self, timeout_s: float) -> list[Event]:
        """See ``Executor.poll``."""
        deadline = time.monotonic() + timeout_s
        while True:
            events = self._read()
            if events or time.monotonic() >= deadline:
                return events
            time.sleep(min(CHECK_S, timeout_s))

    def cancel(self, key: str) -> None:
        """See ``Executor.cancel``; the processes end with the executor."""
        if self._job is not None and self._job.key == key:
            self.close()

    def close(self) -> None:
        """See ``Executor.close``."""
        if self._job is None and self._fitting is not None:
            self._fitting.join(ENDS_S)  # Ray ends this process if a thread uses it after the shutdown
        self._job = None
        self._ray.shutdown()
        self._folder.close()
        sweep()

    def _fit(self, job: Job, messages: Any, ended: list[str]) -> None:
        """Run a job in Ray Train, and add why it ended to ``ended`` when all its processes have."""
        from ray.train import RunConfig, ScalingConfig
        from ray.train.torch import TorchConfig, TorchTrainer

        gpus = self._pool.gpus > 0
        resources = {"CPU": self._pool.cpus, **({"GPU": self._pool.gpus} if gpus else {})}
        trainer = TorchTrainer(
            _run_job,
            train_loop_config={
                "function": job.function,
                "payload": json.dumps(dict(job.payload)),
                "folders": list(job.folders),
                "code": self._code,
                "working_folder": os.getcwd(),
                "messages": messages,
            },
            scaling_config=ScalingConfig(num_workers=self._workers, use_gpu=gpus, resources_per_worker=resources),
            torch_config=TorchConfig(backend="nccl" if gpus else "gloo"),
            run_config=RunConfig(storage_path=self._folder.name, name=job.key),
        )
        try:
            trainer.fit()
        except Exception as error:  # Ray Train raises errors of many kinds; the workers' own come through the queue
            ended.append(f"{type(error).__name__}: {error}")
        else:
            ended.append("")

    def _read(self) -> list[Event]:
        """Return the events that the workers have sent."""
        events: list[Event] = []
        while self._job is not None:
            ended = list(self._ended)
            try:
                message = json.loads(self._queue.get_nowait())
            except queue.Empty:
                if ended:
                    reason = ended[0] or "its processes ended without a result"
                    events.append(Event(self._job.key, "place", error=reason))
                    self._job = None
                break
            events.append(Event(self._job.key, **message))
            if message["kind"] != "progress":
                self._job = None
        return events


def _run_job(given: Mapping[str, Any]) -> None:
    """Run a job in one of its processes, and send its messages."""
    from torch.distributed import get_rank

    is_first = get_rank() == 0
    settings = {"code": given["code"], "folder": given["working_folder"], "folders": given["folders"]}
    for message in run(given["function"], json.loads(given["payload"]), **settings):
        failed = json.loads(message)["kind"] in ("error", "place")
        if is_first or failed:
            given["messages"].put(message)
        if failed:
            raise RuntimeError(message)
