"""The other end of a measuring process."""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast

from nas.errors import MeasureError
from nas.latency.protocol import REPORT, Effort, Latency
from nas.latency.targets import Target, TargetSpec

#: Longer than any measurement within its budget, waiting for the lock included.
TIMEOUT_S = 300.0


class MeasuringProcess:
    """A measuring process of a target, started at the first request and again after a crash.

    Used by one thread. ``close`` ends the process; so does the end of this one.
    """

    def __init__(self, spec: TargetSpec) -> None:
        self.spec = spec
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""

    def __enter__(self) -> MeasuringProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def calibrate(self) -> Target:
        """Time the reference models: the target this process measures for."""
        return Target.from_json(self._request({"verb": "calibrate"})["target"])

    def measure(
        self, path: Path, target: Target, *, effort: Effort = REPORT, reject_above_ms: float | None = None
    ) -> Latency:
        """Measure a file.

        Raises:
            MeasureError: the runtime refused it, or crashed over it.
        """
        answer = self._request(
            {
                "verb": "measure",
                "path": str(path.resolve()),
                "target": target.to_json(),
                "effort": asdict(effort),
                "reject_above_ms": reject_above_ms,
            }
        )
        return Latency(**{**answer, "samples": base64.b64decode(answer["samples"])})

    def modules(self) -> list[str]:
        """Names of the modules the process has imported."""
        return list(self._request({"verb": "modules"})["modules"])

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            cast("IO[bytes]", stream).close()
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _request(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if self._process is None:
            self._start()
        return self._exchange(request)

    def _start(self) -> None:
        threads = str(self.spec.threads)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nas.latency.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
        )
        self._buffer = b""
        self._exchange(self.spec.to_json())

    def _exchange(self, request: Mapping[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process is not None
        try:
            stdin = cast("IO[bytes]", process.stdin)
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()
            answer = json.loads(self._line(process))
        except (BrokenPipeError, EOFError):
            code = process.wait()
            self.close()
            raise MeasureError(
                f"the measuring process of target {self.spec.name!r} ended with code {code} over this request; "
                "the model crashes the runtime"
            ) from None
        if "error" in answer:
            raise MeasureError(answer["error"])
        return cast("dict[str, Any]", answer)

    def _line(self, process: subprocess.Popen[bytes]) -> bytes:
        """One line of the answer, waiting at most ``TIMEOUT_S``."""
        stdout = cast("IO[bytes]", process.stdout)
        deadline = time.monotonic() + TIMEOUT_S
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                process.kill()
                self.close()
                raise MeasureError(f"no answer within {TIMEOUT_S:.0f} s; the measuring process was ended")
            chunk = os.read(stdout.fileno(), 1 << 16)
            if not chunk:
                raise EOFError
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line
