"""The agent's work: it leases the device to clients, receives files, and measures them in a separate process."""

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

#: Sends one message to the client; raises OSError if the client is gone.
Send = Callable[[Mapping[str, Any]], None]


class Device:
    """One device, leased to one client at a time. Many threads may call it; it does one piece of work at a time."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        """Prepare the device; the measuring process starts with the first request.

        Args:
            settings: limits of the agent.
            folder: a folder that only this agent uses.
        """
        self._artifacts = Artifacts(folder, settings.max_mb << 20)
        self._memory_bytes = settings.memory_bytes
        self._work_s = settings.work_s
        self._leases = Leases(settings.lease_s)
        self._working = threading.Lock()
        self._process: WorkerProcess | None = None

    def health(self) -> dict[str, Any]:
        """The agent's API version, and whether the device is leased and working; contains nothing secret."""
        return {"agent": API, "leased": self._leases.held, "working": self._working.locked()}

    def lend(self) -> dict[str, Any]:
        """A new lease, with its duration and a description of the device.

        Raises:
            Refusal: another client holds the lease.
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
        """End a lease; a measurement under way for it ends at its next progress or heartbeat message."""
        self._leases.end(lease)
        return {}

    def receive(self, lease: str, sha256: str, stream: BinaryIO, size: int) -> dict[str, Any]:
        """Receive and store a file of ``size`` bytes.

        Raises:
            Refusal: the lease is not valid, or the file is too large, incomplete or not a self-contained ONNX file.
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
        """Profile the runs of the file; see ``_run``."""
        spec = check_profile(data)
        path = self._path(lease, data)
        self._run(lease, spec, {"verb": "profile", "path": str(path)}, send)

    def close(self) -> None:
        """End the measuring process."""
        if self._process is not None:
            self._process.close()

    def _path(self, lease: str, data: Mapping[str, Any]) -> Path:
        """The file that a request names, if it was received under the same lease."""
        self._leases.renew(lease)
        return self._artifacts.path(lease, data["sha256"])

    def _run(self, lease: str, spec: Mapping[str, Any], request: Mapping[str, Any], send: Send) -> None:
        """Forward the measuring process's messages: progress, heartbeats, and one answer or error at the end.

        Raises:
            Refusal: the lease is not valid or the device is at work; nothing was sent yet.
            OSError: the client is gone; the work was stopped.
        """
        deadline = time.monotonic() + self._work_s

        def alive(message: Mapping[str, Any]) -> None:
            if time.monotonic() > deadline:
                raise MeasureError(
                    f"this request took more than the {self._work_s:g} s that the agent allows (--work-s): the model "
                    "is too slow, or the effort is too large"
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
        send(last)  # outside of the block: a client that has read the answer may send its next request at once

    def _process_of(self, spec: Mapping[str, Any]) -> WorkerProcess:
        """The measuring process for a specification; a process for another specification is ended."""
        if self._process is None or json.dumps(self._process.spec) != json.dumps(spec):
            self.close()
            self._process = WorkerProcess(spec, memory_bytes=self._memory_bytes)
        return self._process

    @contextmanager
    def _used(self, lease: str) -> Iterator[None]:
        """Occupy the device for the holder of a lease, for one request at a time.

        Raises:
            Refusal: the lease is not valid, or another request is at work.
        """
        self._leases.renew(lease)
        if not self._working.acquire(blocking=False):
            raise Refusal(409, "the device is busy with another request; ask again when that has ended")
        try:
            yield
        finally:
            self._working.release()
