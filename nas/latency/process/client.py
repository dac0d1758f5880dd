"""What measures for a target: a measuring process of this machine, or whoever forwards to one elsewhere."""

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
    """Measures for one target. Used by one thread; ``close`` is harmless twice."""

    spec: TargetSpec

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def calibrate(self) -> Target:
        """Time the reference models (about 5 s): the target this one measures for.

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
            path: an artifact the target's runtime opens.
            target: as calibrated; of the same specification as this one.
            effort: how much it may take.
            reject_above_ms: stop as soon as the latency is surely above, and say ``rejected``.
            on_progress: told what is known after each session.

        Raises:
            MeasureError: the runtime refused the file, crashed over it, or did not answer in time; the next
                request finds a fresh process.
            UnreachableError: the target's device is not there, or vanished.
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
        """Compare a reference model with its calibration: a quarter of a second, some more if it differs.

        Args:
            target: as calibrated.
            limit: drift beyond which it runs again, ``Health.problem`` says what is found.

        Raises:
            MeasureError: the reference can't be run.
            UnreachableError: the target's device is not there, or vanished.
        """
        return Health.from_json(self._request({"verb": "health", "target": target.to_json(), "limit": limit}))

    def profile(self, path: Path, target: Target) -> tuple[Profile, str]:
        """Where the time of a file's runs goes, by the runtime's profiler, and the runtime's version.

        Args:
            path: an artifact the target's runtime opens.
            target: as calibrated; of the same specification as this one.

        Raises:
            MeasureError: the runtime has no profiler, or what ``measure`` raises.
            UnreachableError: the target's device is not there, or vanished.
        """
        self._check(target)
        request = {"verb": "profile", "path": str(Path(path).resolve()), "target": target.to_json()}
        answer = self._request(request)
        return Profile.from_json(answer["profile"]), str(answer["runtime_version"])

    @abstractmethod
    def close(self) -> None:
        """Give back what is held."""

    @abstractmethod
    def _request(
        self, request: Mapping[str, Any], on_progress: Callable[[Mapping[str, Any]], None] = lambda progress: None
    ) -> dict[str, Any]:
        """The measuring process's answer; see ``nas.latency.process.worker``."""

    def _check(self, target: Target) -> None:
        if target.spec != self.spec:
            raise MeasureError(
                f"this process measures for target {self.spec.name!r} with {self.spec.unlike(target.spec)}, not for "
                f"target {target.spec.name!r} with {target.spec.unlike(self.spec)}; start a process for that target"
            )


class MeasuringProcess(Measurer):
    """A measuring process of this machine, started at the first request and again after a crash."""

    def __init__(self, spec: TargetSpec, *, timeout_s: float = TIMEOUT_S) -> None:
        """Start nothing yet. ``timeout_s``: silence after which the process is ended."""
        self.spec = spec
        self.process = WorkerProcess(spec.to_json(), timeout_s=timeout_s)

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self.process.pid

    def modules(self) -> list[str]:
        """Names of the modules the process has imported."""
        return list(self._request({"verb": "modules"})["modules"])

    def close(self) -> None:
        """See ``Measurer.close``."""
        self.process.close()

    def _request(
        self, request: Mapping[str, Any], on_progress: Callable[[Mapping[str, Any]], None] = lambda progress: None
    ) -> dict[str, Any]:
        return self.process.request(request, on_progress)
