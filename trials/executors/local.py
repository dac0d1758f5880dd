"""Worker processes on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from selectors import EVENT_READ, DefaultSelector
from typing import IO, cast

from nas.errors import JobError
from trials.executors import Event, Executor, Job, Pool, pool_named

#: How often workers are looked at while nothing comes from them.
LOOK_S = 0.5


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

    def send(self, job: Job) -> None:
        """Give it a job; nothing happens where it is dead, its output's end tells."""
        self.key = job.key
        line = json.dumps({"function": job.function, "payload": dict(job.payload)}).encode() + b"\n"
        stdin = cast("IO[bytes]", self.process.stdin)
        with suppress(BrokenPipeError):
            stdin.write(line)
            stdin.flush()

    def has_died(self) -> bool:
        """Whether it ended; it is not reaped, so that its group keeps its number."""
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def kill(self) -> None:
        """End it and the processes its job started, which are of its group."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        with suppress(BrokenPipeError):  # of a job that it did not read to its end
            cast("IO[bytes]", self.process.stdin).close()
        self.output.close()


class LocalExecutor(Executor):
    """Persistent processes, started when first needed; they end when their standard input does."""

    def __init__(self, pools: Sequence[Pool], *, code: Sequence[str] = (), address: str | None = None) -> None:
        if address is not None:
            raise JobError(f"the local executor runs on this machine only; {address} needs executor: ray_actors")
        self._pools = {pool.name: pool for pool in pools}
        self._code = [os.path.abspath(folder) for folder in code]
        self._workers: list[_Worker] = []
        self._selector = DefaultSelector()
        self._events: list[Event] = []

    def free(self, pool: str) -> int:
        """See ``Executor.free``."""
        size = pool_named(self._pools, pool).size
        return size - sum(worker.key is not None for worker in self._workers if worker.pool.name == pool)

    def submit(self, job: Job) -> None:
        """See ``Executor.submit``."""
        if self.free(job.pool) < 1:
            raise JobError(f"pool {job.pool!r} is full; ask free() before submitting {job.key!r}")
        self._read(0)
        self._bury()  # an idle worker that has died in the meantime is not taken
        idle = [worker for worker in self._workers if worker.pool.name == job.pool and worker.key is None]
        worker = idle[0] if idle else self._start(self._pools[job.pool])
        worker.send(job)

    def poll(self, timeout_s: float) -> list[Event]:
        """See ``Executor.poll``."""
        deadline = time.monotonic() + timeout_s
        self._read(0)
        self._bury()
        while not self._events and (left := deadline - time.monotonic()) > 0:
            if self._selector.get_map():
                self._read(min(left, LOOK_S))
                self._bury()
            else:
                time.sleep(left)
        events, self._events = self._events, []
        return events

    def cancel(self, key: str) -> None:
        """See ``Executor.cancel``."""
        for worker in [worker for worker in self._workers if worker.key == key]:
            self._remove(worker)
        self._events = [event for event in self._events if event.key != key]

    def close(self) -> None:
        """See ``Executor.close``."""
        for worker in list(self._workers):
            self._remove(worker)
        self._events.clear()
        self._selector.close()

    def _start(self, pool: Pool) -> _Worker:
        settings = {"code": self._code, "cores": pool.cores}
        process = subprocess.Popen(
            [sys.executable, "-m", "trials.executors.local_worker", json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": pool.threads},
            process_group=0,  # Ctrl-C is for the coordinator, which ends its workers
        )
        worker = _Worker(pool, process)
        os.set_blocking(worker.output.fileno(), False)
        self._workers.append(worker)
        self._selector.register(worker.output, EVENT_READ, worker)
        return worker

    def _read(self, timeout_s: float) -> None:
        for ready, _ in self._selector.select(timeout_s):
            worker: _Worker = ready.data
            chunk = worker.output.read()
            if chunk == b"":
                self._lost(worker)
            elif chunk:
                self._take(worker, chunk)

    def _take(self, worker: _Worker, chunk: bytes) -> None:
        worker.buffer += chunk
        if b"\n" not in chunk:  # a long line is not searched again and again
            return
        *lines, rest = worker.buffer.split(b"\n")
        worker.buffer = rest
        for line in lines:
            message = json.loads(line)
            assert worker.key is not None
            self._events.append(Event(worker.key, **message))
            if message["kind"] != "progress":
                worker.key = None

    def _bury(self) -> None:
        """Find workers that died while a process of their job's keeps their output open, so that it does not end."""
        for worker in [worker for worker in self._workers if worker.has_died()]:
            if chunk := worker.output.read():
                self._take(worker, chunk)
            self._lost(worker)

    def _lost(self, worker: _Worker) -> None:
        self._remove(worker)
        if worker.key is not None:
            code = worker.process.returncode
            self._events.append(Event(worker.key, "lost", error=f"the worker process ended with code {code}"))

    def _remove(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        self._selector.unregister(worker.output)
        worker.kill()
