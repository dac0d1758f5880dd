"""Starts a measuring process and exchanges JSON requests and answers with it, without interpreting them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, cast

from nas.errors import MeasureError, UnavailableError
from nas.foreign import last_words
from nas.import_path import APPENDED, inheritable
from nas.memory import num_killed
from nas.place import FROM_OUTSIDE, how_ended

#: Seconds; longer than any silence of a healthy process, such as a lock wait or a session of a very slow model.
TIMEOUT_S = 300.0
#: Seconds between two calls of ``on_wait``.
WAIT_S = 1.0
#: Arguments that run the module without the current folder on its path; ``-P`` exists from Python 3.11 on.
_START = (
    ("-P", "-m", "nas.latency.process.worker")
    if sys.version_info >= (3, 11)
    else ("-c", "import sys; sys.path.remove(''); from nas.latency.process.worker import main; main()")
)
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

OnMessage = Callable[[Mapping[str, Any]], None]


class WorkerProcess:
    """A process that measures for one target, started at the first request and again after a crash.

    Only one thread may use it. The process ends with ``close``, or when this process ends in any way.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        *,
        timeout_s: float = TIMEOUT_S,
        memory_bytes: int | None = None,
        python: str = sys.executable,
        code: Path | None = None,
    ) -> None:
        """Prepare the process, which starts at the first request.

        Args:
            spec: the target, from ``TargetSpec.to_json``.
            timeout_s: seconds of silence after which the process is ended.
            memory_bytes: bytes that the process may allocate for data; if given, the system also kills it before
                others when memory runs out.
            python: interpreter that runs the process.
            code: bundle of ``nas.latency.agent.bundle`` that another interpreter imports in place of this project.
        """
        self.spec = spec
        self._python = python
        self._code = code
        self.timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._on_wait: Callable[[], None] = lambda: None
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None
        self._buffer = b""
        #: Number of processes that the system had killed for lack of memory when the process was started.
        self._killed_before = 0

    @property
    def pid(self) -> int | None:
        """Process id, None while no process runs."""
        return self._process.pid if self._process else None

    def request(
        self,
        request: Mapping[str, Any],
        on_progress: OnMessage = lambda progress: None,
        on_wait: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """Send a request and return the answer.

        Args:
            request: see ``nas.latency.process.worker``.
            on_progress: called with each progress message before the answer; an exception in it ends the process.
            on_wait: called about once per second of silence; an exception in it ends the process.

        Raises:
            MeasureError: the process refused the request, crashed, or did not answer in time; the next request uses a
                fresh process.
            UnavailableError: the machine is to blame: the core is taken, or something killed the process.
        """
        self._on_wait = on_wait
        if self._process is None:
            self._start()
        try:
            self._send(request)
            while "progress" in (message := self._receive()):
                on_progress(message["progress"])
        except BaseException:
            self.close()  # a late answer must not be taken for the answer to the next request
            raise
        if "error" in message:
            raise refusal(message)
        return cast("dict[str, Any]", message["answer"])

    def close(self) -> None:
        """End the process; may be called twice."""
        process, self._process = self._process, None
        if process is not None:
            for stream in (process.stdin, process.stdout):
                _close(cast("IO[bytes]", stream))
            try:
                process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None

    def _start(self) -> None:
        self._buffer = b""
        self._killed_before = num_killed()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 — closed with the process
        self._process = subprocess.Popen(
            [self._python, *_START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=_environment(self.spec["threads"], self._code),
        )
        try:
            if self._memory_bytes is not None:
                _bound(self._process.pid, self._memory_bytes)
            self._send(self.spec)
            message = self._receive()
        except BaseException:
            self.close()
            raise
        if "error" in message:
            self.close()
            raise refusal(message)

    def _send(self, request: Mapping[str, Any]) -> None:
        process = self._running()
        try:
            stdin = cast("IO[bytes]", process.stdin)
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            raise self._crash(process) from None

    def _receive(self) -> dict[str, Any]:
        """The next message, waiting at most ``timeout_s``."""
        process = self._running()
        stdout = cast("IO[bytes]", process.stdout)
        deadline = time.monotonic() + self.timeout_s
        while b"\n" not in self._buffer:
            left_s = max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([stdout], [], [], min(left_s, WAIT_S))
            if not ready and process.poll() is not None:  # a child of the process may hold its output open
                raise self._crash(process)
            if not ready and left_s > WAIT_S:
                self._on_wait()
                continue
            if not ready:
                process.kill()
                raise MeasureError(
                    f"no answer from the measuring process of target {self.spec['name']!r} within "
                    f"{self.timeout_s:g} s; the process was ended, and the next request starts a fresh one"
                )
            chunk = os.read(stdout.fileno(), 1 << 16)
            if not chunk:
                raise self._crash(process)
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return cast("dict[str, Any]", json.loads(line))

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise MeasureError("the measuring process is closed; make the request again")
        return self._process

    def _crash(self, process: subprocess.Popen[bytes]) -> MeasureError:
        """The error for a process that ended during a request, with its exit code and last output."""
        code = process.wait()
        words = ""
        if self._stderr is not None:
            self._stderr.seek(0)
            words = last_words(self._stderr.read().decode(errors="replace"))
        which = f"the measuring process of target {self.spec['name']!r}"
        if -code in FROM_OUTSIDE and num_killed() == self._killed_before:
            return UnavailableError(
                f"{which} was killed from outside by {how_ended(code)}; the next request starts a fresh one"
            )
        return MeasureError(
            f"{which} ended with {how_ended(code)} during this request: "
            f"the model crashes the runtime, or memory ran out{f'; its last output: {words}' if words else ''}"
        )


def refusal(message: Mapping[str, Any]) -> MeasureError:
    """The exception for an error message of the process."""
    return (UnavailableError if message.get("place") else MeasureError)(message["error"])


def _environment(threads: int, code: Path | None) -> dict[str, str]:
    """This process's environment with the number of threads and an import path.

    The path is that of this process (a plan's own code too), or only ``code``.
    """
    imports = inheritable() if code is None else {"PYTHONPATH": str(code), APPENDED: ""}
    return {**os.environ, **dict.fromkeys(_THREAD_VARIABLES, str(threads)), **imports}


def _bound(pid: int, memory_bytes: int) -> None:
    """Bound the data memory of a process and let the system kill it first (Linux; elsewhere nothing is done)."""
    import resource

    if hasattr(resource, "prlimit"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            resource.prlimit(pid, resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
            with open(f"/proc/{pid}/oom_score_adj", "w") as score:
                score.write("1000")


def _close(stream: IO[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError):  # closing flushes the buffer, and the process may be gone
        stream.close()
