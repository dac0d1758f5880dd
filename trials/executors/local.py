"""Worker processes on this machine."""

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

#: How often workers are checked while nothing comes from them.
CHECK_S = 0.2
#: How often their memory is checked, and the share of the machine's that a job without a limit may hold.
WEIGH_S, MAX_MEMORY_SHARE = 0.4, 0.9
#: Templates started for one worker, where they get killed.
MAX_TEMPLATES = 3


@dataclass(eq=False)
class _Worker:
    """A process that serves one job after the other: JSON lines in, JSON lines out."""

    pool: Pool
    template: Template
    pid: int
    input: IO[bytes]
    output: IO[bytes]
    #: Becomes readable when the process ends.
    end: int
    job: Job | None = None
    #: Since when it has its job.
    since: float = 0.0
    watch: Watch = field(default_factory=Watch.begun)
    buffer: bytearray = field(default_factory=bytearray)

    def send(self, job: Job) -> None:
        """Give it a job; nothing happens where it is dead, its output's end tells."""
        self.job, self.since, self.watch = job, time.monotonic(), Watch.begun()
        request = {"function": job.function, "payload": dict(job.payload), "folders": list(job.folders)}
        with suppress(BrokenPipeError):
            self.input.write(json.dumps(request).encode() + b"\n")
            self.input.flush()

    def has_died(self) -> bool:
        """Whether it ended; it is not reaped, so that its group keeps its number."""
        ended = select.poll()
        ended.register(self.end, select.POLLIN)
        return bool(ended.poll(0))

    def is_late(self) -> str | None:
        """How its job exceeds its time limit, if it does."""
        assert self.job is not None
        most_s, key = self.job.limits.max_s, self.job.limits.key
        if most_s is None or time.monotonic() - self.since <= most_s:
            return None
        return f"TimeLimit: it ran for more than {most_s / 60:.3g} minutes; {key}.max_minutes allows more"

    def is_large(self, known: Mapping[int, list[int]]) -> str | None:
        """How its job exceeds its memory limit, if it does; ``known``: the machine's processes."""
        assert self.job is not None
        limits = self.job.limits
        max_bytes = limits.max_memory_bytes or MAX_MEMORY_SHARE * total_bytes()
        self.watch.saw(held := memory_bytes(self.pid, known, more_than=max_bytes))
        if held <= max_bytes:
            return None
        return (
            f"MemoryLimit: it and its processes held {held / 1e6:.0f} MB, more than {max_bytes / 1e6:.0f} MB; "
            f"{limits.key}.max_memory_mb allows more"
        )

    def kill(self) -> int | None:
        """End it and the processes its job started; its exit code if that is known."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        code = self.template.reap(self.pid)
        os.close(self.end)
        with suppress(BrokenPipeError):  # of a job that it did not read to its end
            self.input.close()
        self.output.close()
        return code


class LocalExecutor(Executor):
    """Jobs run in processes of this machine, without Ray.

    It is the default if Ray is not installed. The processes start when they are first needed, and each ends when its
    standard input ends. When the executor closes, it kills them and the processes that they started, and removes what
    these left in their temporary folders.
    """

    #: Modules that workers need not import, as they are forked from a process that has.
    preload: Sequence[str] = PRELOADED

    def __init__(self, pools: Sequence[Pool], *, code: Sequence[str] = (), address: str | None = None) -> None:
        if address is not None:
            hint = "" if is_installed("ray") else f"; {pip_install('ray')}"
            raise JobError(f"the local executor runs on this machine only; {address} needs executor: ray_actors{hint}")
        self._pools = {pool.name: pool for pool in pools}
        self._code = [os.path.abspath(folder) for folder in code]
        self._workers: list[_Worker] = []
        self._template: Template | None = None
        self._working_folder = os.getcwd()
        self._weighed = 0.0
        self._folder = Scratch("nas-local-")
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
        self._bury()  # an idle worker that has died in the meantime is not taken
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
        """A new worker process, and the template that it is forked from: another one where the last one was killed."""
        settings = {"code": self._code, "cores": pool.cores, "folder": self._working_folder}
        environment = {"OMP_NUM_THREADS": pool.threads, "TMPDIR": self._folder.name}
        template = self._template or Template.inherited() or Template(self.preload)
        for _ in range(MAX_TEMPLATES):
            self._template = template
            with suppress(TemplateGone):
                arguments = "trials.executors.local_worker:serve", [settings]
                return template, template.fork(*arguments, environment=environment, files=files)
            log.warning("the process that workers are forked from was killed; another one is started")
            template.close()
            template = Template(self.preload)
        raise JobError(f"{MAX_TEMPLATES} processes that workers are forked from were killed; is there enough memory?")

    def _check(self, timeout_s: float) -> None:
        """Read what workers say, wait for it, and notice those that died or exceed a limit."""
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
        if b"\n" not in chunk:  # a long line is not searched again and again
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
        """Find workers that died while a process of their job's keeps their output open, so that it does not end."""
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
