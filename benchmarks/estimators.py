"""Ways to estimate the latency of a network: the measuring protocol, and simple estimators for comparison."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median

from raw import Row

from nas.latency.process.client import MeasuringProcess
from nas.latency.protocol.intervals import derive
from nas.latency.protocol.measure import REPORT, SCREEN
from nas.latency.protocol.samples import Samples
from nas.latency.runtimes import RUNTIMES, SessionOptions
from nas.latency.targets import Target

EFFORTS = {"screen": SCREEN, "report": REPORT}
#: The estimator that the others are compared with.
BASELINE = "mean of 50"
#: Simple estimator → warm-up runs, timed runs, and how the times are combined.
PLAIN: dict[str, tuple[int, int, Callable[[Sequence[float]], float]]] = {
    BASELINE: (10, 50, fmean),
    "median of 100": (10, 100, median),
}
TOOL = "benchmark_app"
TOOL_PATH = Path(sys.executable).parent / TOOL


def plain(path: Path, runtime: str, estimator: str) -> Row:
    """Wall times in nanoseconds of the runs that a simple estimator uses."""
    warm, runs, _ = PLAIN[estimator]
    started = time.process_time()
    session = RUNTIMES.get(runtime)().open(path, SessionOptions())
    try:
        session.burst(warm)
        wall_ns = session.burst(runs).wall_ns
    finally:
        session.close()
    return {"wall_ns": wall_ns, "processor_s": time.process_time() - started}


def tool(path: Path, seconds: int) -> Row:
    """The median that OpenVINO's benchmark_app reports, run in its own process on the measuring core."""
    command = [str(TOOL_PATH), "-m", str(path), "-d", "CPU", "-api", "sync", "-t", str(seconds)]
    command += ["-hint", "none", "-nthreads", "1", "-nstreams", "1"]
    before = os.times()
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    after = os.times()
    found = re.search(r"Median:\s+([\d.]+) (ms|us)", printed)
    if found is None:
        raise SystemExit(f"{TOOL} printed no median:\n{printed[-500:]}")
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return {"median_ms": float(found[1]) / (1000 if found[2] == "us" else 1), "processor_s": spent}


def protocol(process: MeasuringProcess, target: Target, path: Path, estimator: str) -> Row:
    """The samples of a measurement, and the conditions from which its latency is computed."""
    latency = process.measure(path, target, effort=EFFORTS[estimator])
    kept = ("reference_ms", "rung", "processor_s", "seconds", "disturbed", "reference_drift")
    return {"samples": latency.samples, **{key: latency.conditions[key] for key in kept}}


def value_ms(row: Row) -> float:
    """The latency that an estimator reports, computed from its raw samples."""
    if "samples" in row:
        return derive(Samples.from_bytes(row["samples"]), row["reference_ms"]).latency_ms
    if "wall_ns" in row:
        return PLAIN[row["estimator"]][2](row["wall_ns"]) / 1e6
    return float(row["median_ms"])
