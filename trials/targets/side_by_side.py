"""Measure one file on several runtimes of this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import MeasureError, NasError
from nas.latency.process.client import MeasuringProcess
from nas.latency.protocol.measure import REPORT, Effort, Latency
from nas.latency.runtimes import RUNTIMES
from nas.latency.targets import TargetSpec
from trials.plans.runtimes import parse_runtime


@dataclass(frozen=True)
class RuntimeResult:
    """The latency of a file on one runtime, or the reason why it can't be run there."""

    model: Path
    spec: TargetSpec
    latency: Latency | None
    error: str = ""

    @property
    def runtime(self) -> str:
        """The requested runtime with its parameters, as in ``torch,compile=true``."""
        return ",".join([self.spec.runtime, *(f"{key}={value}" for key, value in self.spec.parameters.items())])

    def to_json(self, first: Latency | None) -> dict[str, Any]:
        """Return JSON values, including the ratio to ``first``, the latency on the first runtime that ran the file."""
        found: dict[str, Any] = {"model": str(self.model), "runtime": self.spec.runtime}
        found["parameters"] = dict(self.spec.parameters)
        if self.latency is None or first is None:
            return {**found, "error": self.error}
        return {
            **found,
            "latency_ms": self.latency.latency_ms,
            "low_ms": self.latency.low_ms,
            "high_ms": self.latency.high_ms,
            "ratio_to_first": self.latency.latency_ms / first.latency_ms,
            "peak_memory_bytes": self.latency.peak_memory_bytes,
            **self.latency.conditions,
        }


def specs_of(runtimes: Sequence[str], *, threads: int, batch: int) -> list[TargetSpec]:
    """Return targets on this machine for ``name`` or ``name,parameter=value,…``; each value is YAML.

    Repeated runtimes are left out.

    Raises:
        PlanError: a parameter has no value.
    """
    parsed = [parse_runtime(text) for text in dict.fromkeys(runtimes)]
    return [TargetSpec("here", name, threads, batch, parameters=given) for name, given in parsed]


def every_runtime() -> list[str]:
    """Return all registered runtimes; ONNX Runtime is first, because it is always installed and ratios refer to it."""
    return sorted(RUNTIMES.names(), key=lambda name: (name != "onnxruntime", name))


def side_by_side(model: Path, specs: Sequence[TargetSpec], effort: Effort = REPORT) -> Iterator[RuntimeResult]:
    """Measure on one runtime after the other; if a runtime can't run the file, its result says why.

    Raises:
        MeasureError: the file does not exist.
    """
    if not model.is_file():
        raise MeasureError(f"there is no file {model}; give the path of an exported model, model.onnx")
    for spec in specs:
        try:
            with MeasuringProcess(spec) as process:
                yield RuntimeResult(model, spec, process.measure(model, process.calibrate(), effort=effort))
        except NasError as error:
            yield RuntimeResult(model, spec, None, str(error))


def table(found: Sequence[RuntimeResult]) -> list[dict[str, Any]]:
    """Return one row per runtime; ratios refer to the first runtime that ran the file."""
    first = next((item.latency for item in found if item.latency), None)
    return [_row(item, first) for item in found]


def _row(item: RuntimeResult, first: Latency | None) -> dict[str, Any]:
    latency = item.latency
    if latency is None or first is None:
        return {**dict.fromkeys(_COLUMNS), "runtime": item.runtime, "why not": " ".join(item.error.split())}
    return {
        "runtime": item.runtime,
        "latency, ms": latency.latency_ms,
        "95 % interval": f"{latency.low_ms:.4g} – {latency.high_ms:.4g}",
        "ratio": latency.latency_ms / first.latency_ms,
        "peak memory, MB": None if latency.peak_memory_bytes is None else latency.peak_memory_bytes / 1e6,
        "version": latency.conditions["runtime_version"],
        "why not": "",
    }


_COLUMNS = ("runtime", "latency, ms", "95 % interval", "ratio", "peak memory, MB", "version", "why not")
