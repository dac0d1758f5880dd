"""The executor that runs jobs in worker processes on this machine."""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from selectors import EVENT_READ, DefaultSelector
from typing import IO

from nas.errors import JobError
from nas.extras import is_installed, pip_install
from nas.memory import total_bytes
from nas.scratch import Scratch
from trials.executors import Event, Executor, Job, Pool, pool_named
from trials.executors.deaths import Watch, death
from trials.executors.processes import children, memory_bytes
from trials.executors.template import PRELOADED, Template, TemplateGone

log = logging.getLogger(__name__)

#: Seconds between two checks of workers that send nothing.
CHECK_S = 0.2
#: Seconds between two checks of memory, and share of the machine's memory that a job without a limit may hold.
WEIGH_S, MAX_MEMORY_SHARE = 0.4, 0.9
#: Number of templates to start for one worker if templates get killed.
MAX_TEMPLATES = 3


@dataclass(eq=False)
class _Worker:
    """A process that runs one job after the other; it reads jobs and writes messages as JSON lines."""

    pool: Pool
    template: Template
    pid: int
    input: IO[bytes]
    output: IO[bytes]
    #: Becomes readable when the process ends.
    end: int
    job: Job | None = None
    #: Time at which it received its job.
    since: float = 0.0
    watch: Watch = field(default_factory=Watch.begun)
    buffer: bytearray = field(default_factory=bytearray)

    def send(self, job: Job) -> None:
        """Give it a job; if it is dead, nothing happens, because the end of its output will show that."""
        self.job, self.since, self.watch = job, time.monotonic(), Watch.begun()
        request = {"function": job.function, "payload": dict(job.payload), "folders": list(job.folders)}
        with suppress(BrokenPipeError):
            self.input.write(json.dumps(request).encode() + b"\n")
            self.input.flush()

    def has_died(self) -> bool:
        """Whether the process has ended; it is not reaped here, so that its group's number is not reused."""
        ended = select.poll()
        ended.register(self.end, select.POLLIN)
        return bool(ended.poll(0))

    def is_late(self) -> str | None:
        """Return a message if its job exceeds its time limit."""
        assert self.job is not None
        most_s, key = self.job.limits.max_s, self.job.limits.key
        if most_s is None or time.monotonic() - self.since <= most_s:
            return None
        return f"TimeLimit: it ran for more than {most_s / 60:.3g} minutes; raise the limit with {key}.max_minutes"

    def is_large(self, known: Mapping[int, list[int]]) -> str | None:
        """Return a message if its job exceeds its memory limit; ``known``: ``children()`` of the machine."""
        assert self.job is not None
        limits = self.job.limits
        max_bytes = limits.max_memory_bytes or MAX_MEMORY_SHARE * total_bytes()
        self.watch.saw(held := memory_bytes(self.pid, known, more_than=max_bytes))
        if held <= max_bytes:
            return None
        return (
            f"MemoryLimit: it and its processes held {held / 1e6:.0f} MB, more than {max_bytes / 1e6:.0f} MB; "
            f"raise the limit with {limits.key}.max_memory_mb"
        )

    def kill(self) -> int | None:
        """Kill it and the processes that its job started; return its exit code, or None if unknown."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        code = self.template.reap(self.pid)
        os.close(self.end)
        with suppress(BrokenPipeError):  # it did not read its job to the end
            self.input.close()
        self.output.close()
        return code


class LocalExecutor(Executor):
    """Jobs run in processes of this machine, without Ray.

    It is the default if Ray is not installed. The processes start when they are first needed, and each ends when its
    standard input ends. When the executor closes, it kills them and the processes that they started, and removes what
    these left in their temporary folders.
    """

    #: Modules that workers need not import, because the process that they are forked from has imported them.
    preload: Sequence[str] = PRELOADED

    def __init__(self, pools: Sequence[Pool], *, code: Sequence[str] = (), address: str | None = None) -> None:
        if address is not None:
            hint = "" if is_installed("ray") else f"; {pip_install('ray')}"
            raise JobError(
                f"the local executor runs on this machine only; to use the cluster at {address}, set executor: "
                f"ray_actors{hint}"
            )
        self._pools = {pool.name: pool for pool in pools}
        self._code = [os.path.abspath(folder) for folder in code]
        self._workers: list[_Worker] = []
        self._template: Template | None = None
        self._working_folder = os.getcwd()
        self._weighed = 0.0
        #: Temporary folder of the workers; made for the first one, so that an executor without a job leaves none.
        self._folder: Scratch | None = None
        self._selector = DefaultSelector()
        self._events: list[Event] = []

    def free(self, pool: str) -> int:
        """See ``Executor.free``."""
        size = pool_named(self._pools, pool).size
        return size - sum(worker.job is not None for worker in self._workers if worker.pool.name == pool)

    def submit(self, job: Job) -> None:
        """See ``Executor.submit``."""
        if self.free(job.pool) < 1:
            raise JobError(f"pool {job.pool!r} is full; ask free() before submitting {job.key!r}")
        self._read(0)
        self._bury()  # removes idle workers that have died in the meantime
        idle = [worker for worker in self._workers if worker.pool.name == job.pool and worker.job is None]
        worker = idle[0] if idle else self._start(self._pools[job.pool])
        worker.send(job)

    def poll(self, timeout_s: float) -> list[Event]:
        """See ``Executor.poll``."""
        deadline = time.monotonic() + timeout_s
        self._check(0)
        while not self._events and (left := deadline - time.monotonic()) > 0:
            if self._selector.get_map():
                self._check(min(left, CHECK_S))
            else:
                time.sleep(left)
        events, self._events = self._events, []
        return events

    def cancel(self, key: str) -> None:
        """See ``Executor.cancel``."""
        for worker in [worker for worker in self._workers if worker.job and worker.job.key == key]:
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
        if self._folder is not None:
            self._folder.close()

    def _start(self, pool: Pool) -> _Worker:
        requests, ours = os.pipe()
        theirs, replies = os.pipe()
        try:
            template, pid = self._fork(pool, (requests, replies, 2))
        finally:
            os.close(requests)
            os.close(replies)
        os.set_blocking(theirs, False)
        worker = _Worker(pool, template, pid, os.fdopen(ours, "wb"), os.fdopen(theirs, "rb"), os.pidfd_open(pid))
        self._workers.append(worker)
        self._selector.register(worker.output, EVENT_READ, worker)
        return worker

    def _fork(self, pool: Pool, files: tuple[int, int, int]) -> tuple[Template, int]:
        """Fork a new worker process; return its template, which is a new one if the last was killed, and its number."""
        self._folder = self._folder or Scratch("nas-local-")
        settings = {"code": self._code, "cores": pool.cores, "folder": self._working_folder}
        environment = {"OMP_NUM_THREADS": pool.threads, "TMPDIR": self._folder.name}
        template = self._template or Template.inherited() or Template(self.preload)
        for _ in range(MAX_TEMPLATES):
            self._template = template
            with suppress(TemplateGone):
                arguments = "trials.executors.local_worker:serve", [settings]
                return template, template.fork(*arguments, environment=environment, files=files)
            log.warning("the process that workers are forked from was killed; starting another one")
            template.close()
            template = Template(self.preload)
        raise JobError(
            f"{MAX_TEMPLATES} processes that workers are forked from were killed; check that there is enough memory"
        )

    def _check(self, timeout_s: float) -> None:
        """Wait up to ``timeout_s`` for messages and read them; remove workers that died or exceed a limit."""
        self._read(timeout_s)
        self._bury()
        busy = [worker for worker in self._workers if worker.job is not None]
        self._end_those({worker: problem for worker in busy if (problem := worker.is_late())})
        if busy and time.monotonic() - self._weighed > WEIGH_S:
            self._weighed, known = time.monotonic(), children()
            busy = [worker for worker in busy if worker in self._workers]
            self._end_those({worker: problem for worker in busy if (problem := worker.is_large(known))})

    def _end_those(self, problems: Mapping[_Worker, str]) -> None:
        """End workers whose jobs exceed a limit."""
        for worker, problem in problems.items():
            self._remove(worker)
            assert worker.job is not None
            self._events.append(Event(worker.job.key, "error", error=problem))

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
        if b"\n" not in chunk:  # avoids searching a long line again for each chunk
            return
        *lines, rest = worker.buffer.split(b"\n")
        worker.buffer = rest
        for line in lines:
            message = json.loads(line)
            assert worker.job is not None
            self._events.append(Event(worker.job.key, **message))
            if message["kind"] != "progress":
                worker.job = None

    def _bury(self) -> None:
        """Find dead workers whose output stays open because a process that their job started still holds it."""
        for worker in [worker for worker in self._workers if worker.has_died()]:
            if chunk := worker.output.read():
                self._take(worker, chunk)
            self._lost(worker)

    def _lost(self, worker: _Worker) -> None:
        code = self._remove(worker)
        if worker.job is not None:
            self._events.append(death(worker.job.key, code, worker.watch))

    def _remove(self, worker: _Worker) -> int | None:
        self._workers.remove(worker)
        self._selector.unregister(worker.output)
        return worker.kill()
