"""Targets: the places latencies are about."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nas.errors import MeasureError


@dataclass(frozen=True)
class TargetSpec:
    """What a user says of a target."""

    name: str
    runtime: str = "onnxruntime"
    threads: int = 1
    batch: int = 1
    #: Core of the measuring process; None for the last one it may use.
    core: int | None = None

    def __post_init__(self) -> None:
        if self.threads < 1 or self.batch < 1:
            raise MeasureError(
                f"target {self.name!r} has threads={self.threads}, batch={self.batch}; both must be at least 1"
            )

    def to_json(self) -> dict[str, Any]:
        """JSON values for ``from_json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TargetSpec:
        """Read what ``to_json`` wrote.

        Raises:
            MeasureError: a key is missing or unknown.
        """
        try:
            return cls(**data)
        except TypeError as error:
            raise MeasureError(f"this is no target's specification: {error}") from error


@dataclass(frozen=True)
class Target:
    """A calibrated target: ``MeasuringProcess.calibrate`` makes one."""

    spec: TargetSpec
    #: Rung of the reference ladder → milliseconds of one run, as calibrated when the target was added.
    references: Mapping[str, float]
    #: Processor, runtime version, cores.
    description: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """JSON values for ``from_json``."""
        return {
            "spec": self.spec.to_json(),
            "references": dict(self.references),
            "description": dict(self.description),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Target:
        """Read what ``to_json`` wrote.

        Raises:
            MeasureError: a key is missing or unknown, or there are no calibrated references.
        """
        try:
            target = cls(TargetSpec.from_json(data["spec"]), dict(data["references"]), dict(data["description"]))
        except (KeyError, TypeError, ValueError) as error:
            raise MeasureError(f"this is no stored target: {error!r}") from error
        if not target.references:
            raise MeasureError(f"target {target.spec.name!r} has no calibrated references; calibrate it")
        return target


#: Processor flags that decide which kernels a runtime picks.
_TELLING = (
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "amx_int8",
    "asimd",
    "sve",
)


def describe_processor() -> dict[str, Any]:
    """Model, telling flags and number of cores of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return {
        "processor": fields.get("model name") or platform.processor() or platform.machine(),
        "flags": [flag for flag in _TELLING if flag in flags],
        "cores": os.cpu_count(),
    }
