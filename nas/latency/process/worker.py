"""The persistent measuring process: ``python -m nas.latency.process.worker``.

It reads JSON requests and writes JSON answers, one per line, and imports torch only for the runtime ``torch``. It ends
when its standard input ends or its parent process is gone, so it never outlives its parent.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from nas.errors import MeasureError, NasError
from nas.import_path import append_inherited
from nas.latency.machine.affinity import measuring_cores, pin
from nas.latency.machine.lock import measuring
from nas.latency.machine.processor import CoreWatch, power_state
from nas.latency.protocol.calibration import calibrate
from nas.latency.protocol.canary import BUSY, CanarySetup, Health, check
from nas.latency.protocol.energy import package_energy_uj
from nas.latency.protocol.intervals import Derived
from nas.latency.protocol.measure import Bench, Effort, Latency, measure
from nas.latency.protocol.references import LADDER, estimated_rungs, write_reference
from nas.latency.protocol.samples import Clock, Samples
from nas.latency.protocol.summary import disturbances
from nas.latency.runtimes import Runtime, Session, SessionOptions, make_runtime
from nas.latency.targets import Target, TargetSpec
from nas.place import is_of_place
from nas.processor import describe_processor
from nas.scratch import Scratch

#: Effort for timing a rung that calibration left out, when a slow candidate needs it.
EXTEND = Effort(sessions=3, max_sessions=3, visits=3, precision=0.02, budget_s=10.0)
#: Seconds between checks that the parent process still exists.
PARENT_CHECK_S = 2.0

Reply = Callable[[Mapping[str, Any]], None]


def reference_file(runtime: Runtime, name: str, folder: Path) -> Path:
    """The file of a reference model for a runtime, which is written if the folder does not have it yet."""
    path = folder / f"{name}.{'onnx' if 'onnx' in runtime.formats else min(runtime.formats)}"
    if not path.exists():
        rung = next(item for item in LADDER if item.name == name)
        if not runtime.write_reference(rung, path):
            write_reference(rung, path)
    return path


class MeasuringWorker:
    """Serves requests for one target, in a process that is pinned to the target's cores."""

    def __init__(self, spec: TargetSpec, folder: Path) -> None:
        self.spec = spec
        self.cores = measuring_cores(spec.core, spec.threads)
        pin(self.cores)
        self.runtime = make_runtime(spec.runtime, spec.parameters)
        self._folder = folder
        self._exclusive = partial(measuring, self.cores)
        self._clock: Clock = "process" if spec.threads == 1 and self.runtime.processor_time else "wall"
        #: Calibration, as JSON → its rungs' times, milliseconds, with further rungs that were timed in this process.
        self._extended: dict[str, dict[str, float]] = {}
        self._session: Session | None = None
        # Memory that a runtime allocates once, at its first session, must not count as a candidate's.
        self._open_reference(LADDER[0].name).close()

    def calibrate(self) -> Target:
        """Time the reference models and return the calibrated target."""
        references = calibrate([rung.name for rung in LADDER], self._open_reference, self._exclusive, self._clock)
        return Target(self.spec, references, {**self._place(), "load": os.getloadavg()[0]})

    def measure(
        self,
        path: Path,
        target: Target,
        effort: Effort,
        reject_above_ms: float | None,
        on_progress: Callable[[Derived], None],
    ) -> tuple[Latency, dict[str, Any]]:
        """Measure a file; returns the latency, and the conditions that only this process knows."""
        if not path.is_file():
            raise MeasureError(f"there is no file {path} on this machine; export the model there first")
        bench = self._bench(lambda: self._open(path, self.spec.batch), target.references)
        watch, processor_s = CoreWatch(self.cores), time.process_time()
        latency = measure(bench, effort, reject_above_ms=reject_above_ms, on_progress=on_progress)
        return latency, {
            **self._place(),
            "target": self.spec.name,
            "artifact_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "load": os.getloadavg()[0],
            "power": power_state(self.cores[0]),
            "processor_s": time.process_time() - processor_s,
            **self._disturbed(latency, watch),
        }

    def health(self, target: Target, limit: float) -> Health:
        """Compare a reference model with its calibration, and find out which other processes use the cores."""
        setup = CanarySetup(self._open_reference, target.references, self._exclusive, self._clock, self.cores)
        found = check(setup, limit)
        readable = ["load_ms", *(["energy_mj"] if package_energy_uj() is not None else [])]
        return replace(found, state={**found.state, "runtime_version": self.runtime.version(), "readable": readable})

    def _disturbed(self, latency: Latency, watch: CoreWatch) -> dict[str, Any]:
        """Whether other work disturbed the measurement, and the reasons in words."""
        reasons = disturbances(Samples.from_bytes(latency.samples))
        shares = watch.shares(others_excused_s=latency.conditions["waited_s"])
        if shares is not None and shares.others > BUSY:
            reasons.insert(0, f"others kept the measuring core busy {shares.others:.0%} of the time")
        return {"disturbed": bool(reasons), "disturbed_by": reasons}

    def profile(self, path: Path) -> dict[str, Any]:
        """Profile the runs of a file; the profile and the runtime's version as JSON values."""
        if not path.is_file():
            raise MeasureError(f"there is no file {path} on this machine; export the model there first")
        with self._exclusive():
            found = self.runtime.profile(path, SessionOptions(threads=self.spec.threads, batch=self.spec.batch))
        return {"profile": found.to_json(), "runtime_version": self.runtime.version()}

    def open(self, path: Path) -> dict[str, Any]:
        """Open a session for ``burst``, in place of the one before; its input shape and memory, and the version."""
        if not path.is_file():
            raise MeasureError(f"there is no file {path} on this machine; export the model there first")
        if self._session is not None:
            self._session.close()
        self._session = self._open(path, self.spec.batch)
        return {
            "input_shape": list(self._session.input_shape),
            "peak_memory_bytes": self._session.peak_memory_bytes(),
            "runtime_version": self.runtime.version(),
        }

    def burst(self, runs: int) -> dict[str, Any]:
        """Run the opened session; the caller holds the measuring lock."""
        if self._session is None:
            raise MeasureError("no session is open; send open first")
        found = self._session.burst(runs)
        return {"wall_ns": found.wall_ns, "process_ns": found.process_ns, "preemptions": found.preemptions}

    def _bench(self, opener: Callable[[], Session], references: Mapping[str, float]) -> Bench:
        return Bench(
            open_candidate=opener,
            open_reference=self._open_reference,
            rungs=estimated_rungs(references),
            reference_ms=lambda rung: self._reference_ms(rung, references),
            exclusive=self._exclusive,
            clock=self._clock,
            energy_uj=package_energy_uj,
        )

    def _reference_ms(self, rung: str, references: Mapping[str, float]) -> float:
        """A rung's time, milliseconds: as calibrated, or measured against the rungs below it."""
        if rung in references:
            return references[rung]
        known = self._extended.setdefault(json.dumps(dict(references), sort_keys=True), dict(references))
        for item in LADDER:
            if rung in known:
                break
            if item.name not in known:
                bench = self._bench(partial(self._open_reference, item.name), known)
                known[item.name] = measure(replace(bench, rungs=dict(known)), EXTEND).latency_ms
        return known[rung]

    def _open(self, path: Path, batch: int) -> Session:
        return self.runtime.open(path, SessionOptions(threads=self.spec.threads, batch=batch))

    def _open_reference(self, rung: str) -> Session:
        return self._open(reference_file(self.runtime, rung, self._folder), 1)

    def _place(self) -> dict[str, Any]:
        return {
            "runtime": self.spec.runtime,
            "parameters": dict(self.spec.parameters),
            "runtime_version": self.runtime.version(),
            "threads": self.spec.threads,
            "batch": self.spec.batch,
            "core": ", ".join(map(str, self.cores)) if len(self.cores) > 1 else self.cores[0],
            **describe_processor(),
        }


def main() -> None:
    """Serve requests until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    append_inherited()
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of a runtime must not mix with the replies

    def reply(value: Mapping[str, Any]) -> None:
        replies.write(json.dumps(value) + "\n")
        replies.flush()

    requests = _lines(os.getppid())
    with Scratch("nas-references-") as folder:
        try:
            worker = MeasuringWorker(TargetSpec.from_json(json.loads(next(requests, "{}"))), Path(folder))
        except NasError as error:
            reply(_told(error))
            return
        reply({"ready": True})
        for line in requests:
            try:
                _serve(worker, json.loads(line), reply)
            except BrokenPipeError:
                return


def _serve(worker: MeasuringWorker, request: Mapping[str, Any], reply: Reply) -> None:
    try:
        reply({"answer": _answer(worker, request, reply)})
    except BrokenPipeError:
        raise
    except Exception as error:  # the user's own runtime may raise anything; the process stays usable
        reply(_told(error))


def _told(error: Exception) -> dict[str, Any]:
    """An error as a reply: its message, and whether the place is to blame."""
    text = str(error) if isinstance(error, NasError) else f"{type(error).__name__}: {error}"
    return {"error": text, "place": is_of_place(error)}


def _answer(worker: MeasuringWorker, request: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
    verb = request["verb"]
    if verb == "calibrate":
        return worker.calibrate().to_json()
    if verb == "health":
        return worker.health(Target.from_json(request["target"]), request["limit"]).to_json()
    if verb == "modules":
        return {"modules": sorted(sys.modules)}
    if verb == "profile":
        return worker.profile(Path(request["path"]))
    if verb == "open":
        return worker.open(Path(request["path"]))
    if verb == "burst":
        return worker.burst(request["runs"])
    if verb != "measure":
        raise MeasureError(
            f"unknown request {verb!r}; known: burst, calibrate, health, measure, modules, open, profile"
        )
    latency, place = worker.measure(
        Path(request["path"]),
        Target.from_json(request["target"]),
        Effort(**request["effort"]),
        request["reject_above_ms"],
        lambda derived: reply({"progress": derived._asdict()}),
    )
    return {
        **vars(latency),
        "conditions": {**latency.conditions, **place},
        "samples": base64.b64encode(latency.samples).decode(),
    }


def _lines(parent: int) -> Iterator[str]:
    """Yield lines of standard input until it ends or the parent is gone.

    The end of the input is not a sufficient sign: another child of the parent may hold the pipe open.
    """
    buffer = b""
    while True:
        while b"\n" in buffer:
            line, _, buffer = buffer.partition(b"\n")
            yield line.decode()
        ready, _, _ = select.select([0], [], [], PARENT_CHECK_S)
        if os.getppid() != parent:
            return
        if ready:
            chunk = os.read(0, 1 << 16)
            if not chunk:
                return
            buffer += chunk


if __name__ == "__main__":
    main()
