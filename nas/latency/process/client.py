"""Measurers: the interface for measuring on a target, and the measuring process of this machine."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from nas.errors import MeasureError
from nas.latency.process.parent import TIMEOUT_S, WorkerProcess
from nas.latency.profiles import Profile
from nas.latency.protocol.canary import Health
from nas.latency.protocol.intervals import Derived
from nas.latency.protocol.measure import REPORT, Effort, Latency
from nas.latency.targets import Target, TargetSpec

Self = TypeVar("Self", bound="Measurer")


class Measurer(ABC):
    """Measures on one target. Only one thread may use it; ``close`` may be called twice."""

    spec: TargetSpec

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def calibrate(self) -> Target:
        """Time the reference models, which takes about 5 s, and return the calibrated target.

        Raises:
            MeasureError: the runtime is missing, or the target's cores are not available.
        """
        found = Target.from_json(self._request({"verb": "calibrate"}))
        return Target(self.spec, found.references, found.description)

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
            path: an artifact that the target's runtime can open.
            target: the calibrated target, with the specification of this measurer.
            effort: how much the measurement may take.
            reject_above_ms: stop as soon as the latency is certainly above this, and set ``rejected``.
            on_progress: called with the latency found so far after each session.

        Raises:
            MeasureError: the runtime refused the file, crashed, or did not answer in time; the next request uses a
                fresh process.
            UnreachableError: the target's device does not answer or vanished.
        """
        self._check(target)
        answer = self._request(
            {
                "verb": "measure",
                "path": str(Path(path).resolve()),
                "target": target.to_json(),
                "effort": asdict(effort),
                "reject_above_ms": reject_above_ms,
            },
            lambda progress: on_progress(Derived(**progress)) if on_progress else None,
        )
        return Latency(**{**answer, "samples": base64.b64decode(answer["samples"])})

    def health(self, target: Target, limit: float) -> Health:
        """Compare a reference model with its calibration; takes 0.25 s, and more if the two differ.

        Args:
            target: the calibrated target.
            limit: relative drift that is acceptable; beyond half of it the reference runs again.

        Raises:
            MeasureError: the reference can't be run.
            UnreachableError: the target's device does not answer or vanished.
        """
        return Health.from_json(self._request({"verb": "health", "target": target.to_json(), "limit": limit}))

    def profile(self, path: Path, target: Target) -> tuple[Profile, str]:
        """Profile the runs of a file with the runtime's profiler; returns the profile and the runtime's version.

        Args:
            path: an artifact that the target's runtime can open.
            target: the calibrated target, with the specification of this measurer.

        Raises:
            MeasureError: the runtime has no profiler, or for the reasons of ``measure``.
            UnreachableError: the target's device does not answer or vanished.
        """
        self._check(target)
        request = {"verb": "profile", "path": str(Path(path).resolve()), "target": target.to_json()}
        answer = self._request(request)
        return Profile.from_json(answer["profile"]), str(answer["runtime_version"])

    @abstractmethod
    def close(self) -> None:
        """Free the measuring process, if there is one."""

    @abstractmethod
    def _request(
        self, request: Mapping[str, Any], on_progress: Callable[[Mapping[str, Any]], None] = lambda progress: None
    ) -> dict[str, Any]:
        """Send a request to the measuring process and return its answer; see ``nas.latency.process.worker``."""

    def _check(self, target: Target) -> None:
        if target.spec != self.spec:
            raise MeasureError(
                f"this process measures for target {self.spec.name!r} with {self.spec.unlike(target.spec)}, not for "
                f"target {target.spec.name!r} with {target.spec.unlike(self.spec)}; start a process for that target"
            )


class MeasuringProcess(Measurer):
    """A measuring process of this machine, started at the first request and again after a crash."""

    def __init__(self, spec: TargetSpec, *, timeout_s: float = TIMEOUT_S) -> None:
        """Prepare the process, which starts at the first request.

        Args:
            spec: the target.
            timeout_s: seconds of silence after which the process is ended.
        """
        self.spec = spec
        self.process = WorkerProcess(spec.to_json(), timeout_s=timeout_s)

    @property
    def pid(self) -> int | None:
        """Process id, None while no process runs."""
        return self.process.pid

    def modules(self) -> list[str]:
        """Names of the modules the process has imported."""
        return list(self._request({"verb": "modules"})["modules"])

    def close(self) -> None:
        """End the process; see ``Measurer.close``."""
        self.process.close()

    def _request(
        self, request: Mapping[str, Any], on_progress: Callable[[Mapping[str, Any]], None] = lambda progress: None
    ) -> dict[str, Any]:
        return self.process.request(request, on_progress)
