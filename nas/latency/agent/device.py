"""What an agent does: lend the device, take a file, measure it in a process that may crash."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from nas.errors import MeasureError, PlaceError
from nas.latency.agent import API
from nas.latency.agent.artifacts import Artifacts
from nas.latency.agent.leases import Leases
from nas.latency.agent.refusal import Refusal
from nas.latency.agent.requests import check_calibrate, check_health, check_measure, check_profile
from nas.latency.agent.settings import Settings
from nas.latency.process.parent import WorkerProcess
from nas.processor import describe_processor

#: Sends one message to whoever asked; raises OSError when they are gone.
Send = Callable[[Mapping[str, Any]], None]


class Device:
    """One device, lent to one asker at a time. Used by many threads; work is done for one at a time."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        """Start nothing yet. ``folder``: private to this agent."""
        self._artifacts = Artifacts(folder, settings.max_mb << 20)
        self._memory_bytes = settings.memory_bytes
        self._work_s = settings.work_s
        self._leases = Leases(settings.lease_s)
        self._working = threading.Lock()
        self._process: WorkerProcess | None = None

    def health(self) -> dict[str, Any]:
        """Whether it is there and lent; nothing secret."""
        return {"agent": API, "leased": self._leases.held, "working": self._working.locked()}

    def lend(self) -> dict[str, Any]:
        """A new lease, and what the asker should know of the device.

        Raises:
            Refusal: somebody holds one.
        """
        lease = self._leases.take()
        return {
            "agent": API,
            "lease": lease,
            "seconds": self._leases.seconds,
            "max_bytes": self._artifacts.max_bytes,
            **describe_processor(),
        }

    def give_back(self, lease: str) -> dict[str, Any]:
        """End a lease; what it measured right now ends at the next sign of life."""
        self._leases.end(lease)
        return {}

    def receive(self, lease: str, sha256: str, stream: BinaryIO, size: int) -> dict[str, Any]:
        """Take a file.

        Raises:
            Refusal: the lease, the size or the file is not right.
        """
        with self._used(lease):
            self._artifacts.receive(lease, sha256, stream, size, lambda: self._leases.renew(lease))
        return {"sha256": sha256}

    def calibrate(self, lease: str, data: Mapping[str, Any], send: Send) -> None:
        """Time the reference models; see ``_run``."""
        self._run(lease, check_calibrate(data), {"verb": "calibrate"}, send)

    def canary(self, lease: str, data: Mapping[str, Any], send: Send) -> None:
        """Compare a reference model with its calibration; see ``_run``."""
        checked = check_health(data)
        self._run(lease, checked["target"]["spec"], {"verb": "health", **checked}, send)

    def measure(self, lease: str, data: Mapping[str, Any], send: Send) -> None:
        """Measure the file; see ``_run``."""
        checked = check_measure(data)
        path = self._path(lease, data)
        self._run(lease, checked["target"]["spec"], {"verb": "measure", "path": str(path), **checked}, send)

    def profile(self, lease: str, data: Mapping[str, Any], send: Send) -> None:
        """Say where the time of the file's runs goes; see ``_run``."""
        spec = check_profile(data)
        path = self._path(lease, data)
        self._run(lease, spec, {"verb": "profile", "path": str(path)}, send)

    def close(self) -> None:
        """End the measuring process."""
        if self._process is not None:
            self._process.close()

    def _path(self, lease: str, data: Mapping[str, Any]) -> Path:
        """The file that a request is about, if it came under the same lease."""
        self._leases.renew(lease)
        return self._artifacts.path(lease, data["sha256"])

    def _run(self, lease: str, spec: Mapping[str, Any], request: Mapping[str, Any], send: Send) -> None:
        """Send what the measuring process says: progress, signs of life, and one answer or error at the end.

        Raises:
            Refusal: before anything was sent.
            OSError: the asker is gone; so is the work done for them.
        """
        deadline = time.monotonic() + self._work_s

        def alive(message: Mapping[str, Any]) -> None:
            if time.monotonic() > deadline:
                raise MeasureError(
                    f"this request kept the device at work for more than {self._work_s:g} s: the model takes for ever, "
                    "or asks for more effort than the agent allows with --work-s"
                )
            self._leases.renew(lease)
            send(message)

        with self._used(lease):
            send({})
            try:
                answer = self._process_of(spec).request(
                    request, lambda progress: alive({"progress": progress}), lambda: alive({})
                )
            except MeasureError as error:
                last: Mapping[str, Any] = {"error": str(error), "place": isinstance(error, PlaceError)}
            else:
                self._leases.renew(lease)
                last = {"answer": answer}
        send(last)  # no longer at work: whoever has read it may ask for the next thing at once

    def _process_of(self, spec: Mapping[str, Any]) -> WorkerProcess:
        """The measuring process of a specification; that of another one ends."""
        if self._process is None or json.dumps(self._process.spec) != json.dumps(spec):
            self.close()
            self._process = WorkerProcess(spec, memory_bytes=self._memory_bytes)
        return self._process

    @contextmanager
    def _used(self, lease: str) -> Iterator[None]:
        """Work for the holder of a lease, who does one thing at a time."""
        self._leases.renew(lease)
        if not self._working.acquire(blocking=False):
            raise Refusal(409, "the device is at work; ask again when that has ended")
        try:
            yield
        finally:
            self._working.release()
