"""One file on several runtimes of this machine, side by side."""

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
    """A file on one runtime: how long it takes, or why it can't be run there."""

    model: Path
    spec: TargetSpec
    latency: Latency | None
    error: str = ""

    @property
    def runtime(self) -> str:
        """The runtime as it was asked for: ``torch,compile=true``."""
        return ",".join([self.spec.runtime, *(f"{key}={value}" for key, value in self.spec.parameters.items())])

    def to_json(self, first: Latency | None) -> dict[str, Any]:
        """JSON values, the ratio to the first runtime that ran the file among them."""
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
    """Targets on this machine from ``name`` or ``name,parameter=value,…``, values being YAML; repeats are left out.

    Raises:
        PlanError: a parameter without a value.
    """
    parsed = [parse_runtime(text) for text in dict.fromkeys(runtimes)]
    return [TargetSpec("here", name, threads, batch, parameters=given) for name, given in parsed]


def every_runtime() -> list[str]:
    """All registered runtimes, ONNX Runtime first: it comes with the project, so there is something to compare with."""
    return sorted(RUNTIMES.names(), key=lambda name: (name != "onnxruntime", name))


def side_by_side(model: Path, specs: Sequence[TargetSpec], effort: Effort = REPORT) -> Iterator[RuntimeResult]:
    """Measure on one runtime after the other; one that can't run the file says why, and the next has its turn.

    Raises:
        MeasureError: there is no such file.
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
    """A row a runtime; ratios are to the first that ran the file."""
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
