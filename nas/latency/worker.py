"""The persistent measuring process: ``python -m nas.latency.worker``.

Reads one JSON request a line, writes one JSON answer a line, never imports torch. It ends when its standard input
does, so it dies with its parent however that ends.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from nas.errors import MeasureError, NasError
from nas.latency.affinity import measuring_core, pin
from nas.latency.lock import measuring
from nas.latency.protocol import Effort, Latency, burst_runs, measure, warm_up
from nas.latency.references import LADDER, write_reference
from nas.latency.runtimes import RUNTIMES, Session, SessionOptions
from nas.latency.targets import Target, TargetSpec, describe_processor

#: Rungs slower than this are calibrated from fewer visits.
SLOW_S = 0.01


class Bench:
    """A pinned process with a runtime and the reference models."""

    def __init__(self, spec: TargetSpec, folder: Path) -> None:
        self.spec = spec
        self.core = measuring_core() if spec.core is None else spec.core
        if spec.threads == 1:
            pin([self.core])
        self.runtime = RUNTIMES.get(spec.runtime)()
        self._folder = folder
        self._exclusive = partial(measuring, self.core)

    def calibrate(self) -> Target:
        """Time every rung of the ladder."""
        return Target(
            self.spec,
            {rung.name: self._time_ms(rung.name) for rung in LADDER},
            {
                **describe_processor(),
                "core": self.core,
                "runtime": self.spec.runtime,
                "runtime_version": self.runtime.version(),
            },
        )

    def measure(
        self, path: Path, target: Target, effort: Effort, reject_above_ms: float | None
    ) -> tuple[Latency, dict[str, Any]]:
        """Measure a file; the latency and the conditions only this process knows."""
        latency = measure(
            lambda: self.runtime.open(path, self._options(self.spec.batch)),
            lambda rung: self.runtime.open(self._reference(rung), self._options(1)),
            target.references,
            exclusive=self._exclusive,
            effort=effort,
            reject_above_ms=reject_above_ms,
            statistic="process" if self.spec.threads == 1 else "wall",
        )
        return latency, {
            "target": self.spec.name,
            "runtime": self.spec.runtime,
            "runtime_version": self.runtime.version(),
            "threads": self.spec.threads,
            "batch": self.spec.batch,
            "core": self.core,
            "load": os.getloadavg()[0],
            **describe_processor(),
        }

    def _options(self, batch: int) -> SessionOptions:
        return SessionOptions(threads=self.spec.threads, batch=batch)

    def _reference(self, rung: str) -> Path:
        path = self._folder / f"{rung}.onnx"
        if not path.exists():
            write_reference(next(item for item in LADDER if item.name == rung), path)
        return path

    def _time_ms(self, rung: str) -> float:
        """Median over visits of the fastest run, over fresh sessions."""
        fastest: list[float] = []
        for _ in range(3):
            session = self.runtime.open(self._reference(rung), self._options(1))
            time_s = warm_up(session)
            fastest += [self._fastest(session, time_s) for _ in range(3 if time_s > SLOW_S else 8)]
            session.close()
            if time_s > SLOW_S:
                break
        return median(fastest) / 1e6

    def _fastest(self, session: Session, time_s: float) -> float:
        with self._exclusive():
            return min(session.burst(burst_runs(time_s)).wall_ns)


def answer(bench: Bench, request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to one request."""
    if request["verb"] == "calibrate":
        return {"target": bench.calibrate().to_json()}
    if request["verb"] == "modules":
        return {"modules": sorted(sys.modules)}
    latency, conditions = bench.measure(
        Path(request["path"]),
        Target.from_json(request["target"]),
        Effort(**request["effort"]),
        request["reject_above_ms"],
    )
    return {
        **{name: value for name, value in vars(latency).items() if name != "samples"},
        "conditions": {**latency.conditions, **conditions},
        "samples": base64.b64encode(latency.samples).decode(),
    }


def main() -> None:
    """Serve requests until standard input ends."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a runtime prints must not get among the replies

    def reply(value: Mapping[str, Any]) -> None:
        replies.write(json.dumps(value) + "\n")
        replies.flush()

    with tempfile.TemporaryDirectory(prefix="nas-references-") as folder:
        try:
            bench = Bench(TargetSpec.from_json(json.loads(sys.stdin.readline())), Path(folder))
        except NasError as error:
            reply({"error": str(error)})
            return
        reply({"ready": True})
        for line in sys.stdin:
            _serve(bench, json.loads(line), reply)


def _serve(bench: Bench, request: Mapping[str, Any], reply: Callable[[Mapping[str, Any]], None]) -> None:
    try:
        reply(answer(bench, request))
    except MeasureError as error:
        reply({"error": str(error)})


if __name__ == "__main__":
    main()
