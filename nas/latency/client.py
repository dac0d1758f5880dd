"""The other end of a measuring process."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast

from nas.errors import MeasureError
from nas.latency.intervals import Derived
from nas.latency.protocol import REPORT, Effort, Latency
from nas.latency.targets import Target, TargetSpec

#: Longer than any silence of a healthy process: a lock wait or a session of a very slow model.
TIMEOUT_S = 300.0
#: Letters of a crashed process's last words that enter the error.
LAST_WORDS = 400
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class MeasuringProcess:
    """A measuring process of a target, started at the first request and again after a crash.

    Used by one thread. ``close`` ends the process; so does the end of this one, however that comes.
    """

    def __init__(self, spec: TargetSpec, *, timeout_s: float = TIMEOUT_S) -> None:
        """Start nothing yet. ``timeout_s``: silence after which the process is ended."""
        self.spec = spec
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None
        self._buffer = b""

    def __enter__(self) -> MeasuringProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self._process.pid if self._process else None

    def calibrate(self) -> Target:
        """Time the reference models (about 5 s): the target this process measures for.

        Raises:
            MeasureError: the runtime is missing, or the target's cores are not available.
        """
        return Target.from_json(self._request({"verb": "calibrate"}))

    def measure(
        self,
        path: Path,
        target: Target,
        *,
        effort: Effort = REPORT,
        reject_above_ms: float | None = None,
        on_progress: Callable[[Derived], None] | None = None,
    ) -> Latency:
        """Measure a file.

        Args:
            path: an artifact the target's runtime opens.
            target: as calibrated; of the same specification as this process.
            effort: how much it may take.
            reject_above_ms: stop as soon as the latency is surely above, and say ``rejected``.
            on_progress: told what is known after each session.

        Raises:
            MeasureError: the runtime refused the file, crashed over it, or did not answer in time; the next
                request finds a fresh process.
        """
        if target.spec != self.spec:
            raise MeasureError(
                f"this process measures for {self.spec}, not for {target.spec}; start one for that target"
            )
        answer = self._request(
            {
                "verb": "measure",
                "path": str(Path(path).resolve()),
                "target": target.to_json(),
                "effort": asdict(effort),
                "reject_above_ms": reject_above_ms,
            },
            on_progress,
        )
        return Latency(**{**answer, "samples": base64.b64decode(answer["samples"])})

    def modules(self) -> list[str]:
        """Names of the modules the process has imported."""
        return list(self._request({"verb": "modules"})["modules"])

    def close(self) -> None:
        """End the process; harmless twice."""
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

    def _request(
        self, request: Mapping[str, Any], on_progress: Callable[[Derived], None] | None = None
    ) -> dict[str, Any]:
        if self._process is None:
            self._start()
        try:
            self._send(request)
            while "progress" in (message := self._receive()):
                if on_progress is not None:
                    on_progress(Derived(**message["progress"]))
        except BaseException:
            self.close()  # an answer still under way must not be taken for the next request's
            raise
        if "error" in message:
            raise MeasureError(message["error"])
        return cast("dict[str, Any]", message["answer"])

    def _start(self) -> None:
        self._buffer = b""
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 — closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "nas.latency.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=_environment(self.spec.threads),
        )
        try:
            self._send(self.spec.to_json())
            message = self._receive()
        except BaseException:
            self.close()
            raise
        if "error" in message:
            self.close()
            raise MeasureError(message["error"])

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
        deadline = time.monotonic() + self._timeout_s
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                process.kill()
                raise MeasureError(
                    f"no answer from the measuring process of target {self.spec.name!r} within "
                    f"{self._timeout_s:g} s; it was ended, and the next request starts a fresh one"
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
        """What is known of a process that ended over a request."""
        code = process.wait()
        how = f"code {code}" if code >= 0 else signal.Signals(-code).name
        words = ""
        if self._stderr is not None:
            self._stderr.seek(0)
            words = self._stderr.read().decode(errors="replace").strip()[-LAST_WORDS:]
        return MeasureError(
            f"the measuring process of target {self.spec.name!r} ended with {how} over this request: "
            f"the model crashes the runtime, or memory ran out{f'; its last words: {words}' if words else ''}"
        )


def _environment(threads: int) -> dict[str, str]:
    """This process's environment with its import path (a plan's own code too) and the number of threads."""
    own = [path for path in sys.path if path and not path.startswith((sys.prefix, sys.base_prefix))]
    return {
        **os.environ,
        **dict.fromkeys(_THREAD_VARIABLES, str(threads)),
        "PYTHONPATH": os.pathsep.join(map(os.path.abspath, own)),
    }


def _close(stream: IO[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError):  # something may be buffered for a process that is gone
        stream.close()
