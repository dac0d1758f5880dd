"""Worker processes on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from selectors import EVENT_READ, DefaultSelector
from typing import IO, cast

from nas.errors import JobError
from trials.executors import Event, Executor, Job, Pool


@dataclass
class _Worker:
    """A process that serves one job after the other: JSON lines in, JSON lines out."""

    pool: Pool
    process: subprocess.Popen[bytes]
    key: str | None = None
    buffer: bytearray = field(default_factory=bytearray)

    @property
    def output(self) -> IO[bytes]:
        return cast("IO[bytes]", self.process.stdout)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        cast("IO[bytes]", self.process.stdin).close()
        self.output.close()


class LocalExecutor(Executor):
    """Persistent processes, started when first needed; they end when their standard input does."""

    def __init__(self, pools: Sequence[Pool], *, code: Sequence[str] = (), address: str | None = None) -> None:
        if address is not None:
            raise JobError(f"the local executor runs on this machine only; {address} needs executor: ray_actors")
        self._pools = {pool.name: pool for pool in pools}
        self._code = list(code)
        self._workers: dict[str, list[_Worker]] = {pool.name: [] for pool in pools}
        self._selector = DefaultSelector()
        self._events: deque[Event] = deque()

    def free(self, pool: str) -> int:
        """See ``Executor.free``."""
        busy = sum(worker.key is not None for worker in self._workers[pool])
        return self._pools[pool].size - busy

    def submit(self, job: Job) -> None:
        """See ``Executor.submit``."""
        if self.free(job.pool) < 1:
            raise JobError(f"pool {job.pool!r} is full; ask free() before submitting {job.key!r}")
        idle = [worker for worker in self._workers[job.pool] if worker.key is None]
        worker = idle[0] if idle else self._start(self._pools[job.pool])
        worker.key = job.key
        line = json.dumps({"function": job.function, "payload": dict(job.payload)}).encode() + b"\n"
        stdin = cast("IO[bytes]", worker.process.stdin)
        try:
            stdin.write(line)
            stdin.flush()
        except BrokenPipeError:
            self._lost(worker)

    def poll(self, timeout_s: float) -> list[Event]:
        """See ``Executor.poll``."""
        deadline = time.monotonic() + timeout_s
        while not self._events:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            if not self._selector.get_map():
                time.sleep(left)
                break
            self._read(left)
        self._read(0)
        events = list(self._events)
        self._events.clear()
        return events

    def cancel(self, key: str) -> None:
        """See ``Executor.cancel``."""
        for worker in [worker for workers in self._workers.values() for worker in workers]:
            if worker.key == key:
                self._remove(worker)
        self._events = deque(event for event in self._events if event.key != key)

    def close(self) -> None:
        """See ``Executor.close``."""
        for worker in [worker for workers in self._workers.values() for worker in workers]:
            self._remove(worker)
        self._events.clear()

    def _start(self, pool: Pool) -> _Worker:
        threads = str(max(1, int(pool.cpus)))
        settings = {"code": self._code, "cores": list(pool.cores)}
        process = subprocess.Popen(
            [sys.executable, "-m", "trials.executors.local_worker", json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": threads},
        )
        worker = _Worker(pool, process)
        os.set_blocking(worker.output.fileno(), False)
        self._workers[pool.name].append(worker)
        self._selector.register(worker.output, EVENT_READ, worker)
        return worker

    def _read(self, timeout_s: float) -> None:
        if not self._selector.get_map():
            return
        for key, _ in self._selector.select(timeout_s):
            worker: _Worker = key.data
            chunk = worker.output.read()
            if chunk == b"":
                self._lost(worker)
            elif chunk:
                worker.buffer += chunk
                self._take_lines(worker)

    def _take_lines(self, worker: _Worker) -> None:
        *lines, rest = worker.buffer.split(b"\n")
        worker.buffer = bytearray(rest)
        for line in lines:
            message = json.loads(line)
            assert worker.key is not None
            self._events.append(Event(worker.key, **message))
            if message["kind"] != "progress":
                worker.key = None

    def _lost(self, worker: _Worker) -> None:
        key = worker.key
        self._remove(worker)
        if key is not None:
            code = worker.process.returncode
            self._events.append(Event(key, "lost", error=f"the worker process ended with code {code}"))

    def _remove(self, worker: _Worker) -> None:
        if worker in self._workers[worker.pool.name]:
            self._workers[worker.pool.name].remove(worker)
            self._selector.unregister(worker.output)
            worker.kill()
