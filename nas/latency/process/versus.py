"""Compare two environments on this machine: bursts of one file alternate between their measuring processes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from nas.latency.machine.affinity import measuring_cores
from nas.latency.machine.lock import measuring
from nas.latency.process.parent import WorkerProcess
from nas.latency.profiles import Profile
from nas.latency.protocol.measure import REPORT, Bench, measure
from nas.latency.runtimes import Burst, Session, make_runtime
from nas.latency.targets import TargetSpec

_PRESENT = "present"


class Ratio(NamedTuple):
    """Time in the other environment divided by the time in this one, with its 95 % interval."""

    value: float
    low: float
    high: float


class Environment:
    """A measuring process of this interpreter, or of another one."""

    def __init__(self, spec: TargetSpec, *, python: str | None = None, code: Path | None = None) -> None:
        """Prepare the process, which starts at the first request.

        Args:
            spec: a target of this machine.
            python: another interpreter, with numpy and the runtime; this one by default.
            code: the bundle that another interpreter imports.
        """
        other = {} if python is None else {"python": python, "code": code}
        self._process = WorkerProcess(spec.to_json(), **other)  # type: ignore[arg-type]
        #: Version of the runtime; empty before the first ``open``.
        self.version = ""

    def __enter__(self) -> Environment:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.close()

    def open(self, path: Path) -> Session:
        """Open a session; the one before is closed.

        Raises:
            MeasureError: the interpreter can't run the measuring process, or its runtime can't run the file.
        """
        opened = self._process.request({"verb": "open", "path": str(path)})
        self.version = opened["runtime_version"]
        return _SessionThere(self._process, opened)

    def profile(self, path: Path) -> Profile:
        """Profile the runs of a file.

        Raises:
            MeasureError: the runtime has no profiler, or for the reasons of ``open``.
        """
        return Profile.from_json(self._process.request({"verb": "profile", "path": str(path)})["profile"])


def ratio(path: Path, present: Environment, other: Environment, spec: TargetSpec, recorded_ms: float) -> Ratio:
    """Measure a file in two environments by the measuring protocol, in which this one takes the reference's part.

    Args:
        path: the file.
        present: this environment.
        other: the environment that is compared with it.
        spec: the target that both measure for.
        recorded_ms: approximate time of the file in this environment.
    """
    runtime = make_runtime(spec.runtime, spec.parameters)
    bench = Bench(
        open_candidate=lambda: other.open(path),
        open_reference=lambda rung: present.open(path),
        rungs={_PRESENT: recorded_ms},
        reference_ms=lambda rung: recorded_ms,
        exclusive=partial(measuring, measuring_cores(spec.core, spec.threads)),
        clock="process" if spec.threads == 1 and runtime.processor_time else "wall",
    )
    found = measure(bench, REPORT)
    return Ratio(found.latency_ms / recorded_ms, found.low_ms / recorded_ms, found.high_ms / recorded_ms)


class _SessionThere(Session):
    """A session in a measuring process."""

    def __init__(self, process: WorkerProcess, opened: Mapping[str, Any]) -> None:
        self._process = process
        self._opened = opened

    @property
    def input_shape(self) -> tuple[int, ...]:
        return tuple(self._opened["input_shape"])

    def burst(self, runs: int) -> Burst:
        found = self._process.request({"verb": "burst", "runs": runs})
        return Burst(tuple(found["wall_ns"]), tuple(found["process_ns"]), tuple(found["preemptions"]))

    def run(self, inputs: Any) -> Any:
        raise NotImplementedError("outputs stay in the measuring process")

    def peak_memory_bytes(self) -> int | None:
        peak = self._opened["peak_memory_bytes"]
        return None if peak is None else int(peak)

    def close(self) -> None:
        """The process closes it when it opens the next one."""
