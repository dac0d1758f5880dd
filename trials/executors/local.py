"""Worker processes on this machine."""

from __future__ import annotations

import json
import os
import select
import signal
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from selectors import EVENT_READ, DefaultSelector
from typing import IO

from nas.errors import JobError
from trials.executors import Event, Executor, Job, Pool, pool_named
from trials.executors.template import Template

#: How often workers are looked at while nothing comes from them.
LOOK_S = 0.5


@dataclass
class _Worker:
    """A process that serves one job after the other: JSON lines in, JSON lines out."""

    pool: Pool
    template: Template
    pid: int
    input: IO[bytes]
    output: IO[bytes]
    #: Becomes readable when the process ends.
    end: int
    key: str | None = None
    buffer: bytearray = field(default_factory=bytearray)

    def send(self, job: Job) -> None:
        """Give it a job; nothing happens where it is dead, its output's end tells."""
        self.key = job.key
        line = json.dumps({"function": job.function, "payload": dict(job.payload)}).encode() + b"\n"
        with suppress(BrokenPipeError):
            self.input.write(line)
            self.input.flush()

    def has_died(self) -> bool:
        """Whether it ended; it is not reaped, so that its group keeps its number."""
        ended = select.poll()
        ended.register(self.end, select.POLLIN)
        return bool(ended.poll(0))

    def kill(self) -> int:
        """End it and the processes its job started, which are of its group; its exit code."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        code = self.template.reap(self.pid)
        os.close(self.end)
        with suppress(BrokenPipeError):  # of a job that it did not read to its end
            self.input.close()
        self.output.close()
        return code


class LocalExecutor(Executor):
    """Persistent processes, started when first needed; they end when their standard input does.

    What they and processes of theirs leave in their temporary folder goes with the executor: they are killed.
    """

    def __init__(self, pools: Sequence[Pool], *, code: Sequence[str] = (), address: str | None = None) -> None:
        if address is not None:
            raise JobError(f"the local executor runs on this machine only; {address} needs executor: ray_actors")
        self._pools = {pool.name: pool for pool in pools}
        self._code = [os.path.abspath(folder) for folder in code]
        self._workers: list[_Worker] = []
        self._template: Template | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="nas-local-", ignore_cleanup_errors=True)
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
        if self._template is not None and self._template is not Template.inherited():
            self._template.close()
        self._template = None
        self._events.clear()
        self._selector.close()
        self._folder.cleanup()

    def _start(self, pool: Pool) -> _Worker:
        if self._template is None:
            self._template = Template.inherited() or Template()
        requests, ours = os.pipe()
        theirs, replies = os.pipe()
        settings = {"code": self._code, "cores": pool.cores}
        pid = self._template.fork(
            "trials.executors.local_worker:serve",
            [settings],
            environment={"OMP_NUM_THREADS": pool.threads, "TMPDIR": self._folder.name},
            files=(requests, replies, 2),
        )
        os.close(requests)
        os.close(replies)
        os.set_blocking(theirs, False)
        worker = _Worker(pool, self._template, pid, os.fdopen(ours, "wb"), os.fdopen(theirs, "rb"), os.pidfd_open(pid))
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
        code = self._remove(worker)
        if worker.key is not None:
            self._events.append(Event(worker.key, "lost", error=f"the worker process ended with code {code}"))

    def _remove(self, worker: _Worker) -> int:
        self._workers.remove(worker)
        self._selector.unregister(worker.output)
        return worker.kill()
