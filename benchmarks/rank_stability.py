"""Do repeats rank networks alike? Networks 3–25 % apart, measured again minutes later, beside other work.

    python benchmarks/rank_stability.py --passes 3 --minutes 2 --raw raw/ranks
    python benchmarks/rank_stability.py --from raw/ranks --json

The measuring protocol (screen: one session; report: at least four) against what is usually done: the mean of 50 runs
after 10, the median of 100, and OpenVINO's benchmark_app. Conditions: idle, a training on another core, trainings on
two cores, the measuring one among them. Of each estimator: Kendall's tau between passes, the coefficient of variation
of a network's number between passes, processor seconds a network. The last column is the variation over that of
the mean of 50 in the same condition. Everything printed is derived from the raw samples that --raw keeps.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import combinations
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
from scipy.stats import kendalltau
from surroundings import COLUMNS, DEPTH, trainers, write_nets

from nas.latency.affinity import available_cores, measuring_core, pin
from nas.latency.client import MeasuringProcess
from nas.latency.intervals import derive
from nas.latency.protocol import REPORT, SCREEN
from nas.latency.runtimes import RUNTIMES, SessionOptions
from nas.latency.samples import Samples
from nas.latency.targets import Target, TargetSpec

EFFORTS = {"screen": SCREEN, "report": REPORT}
#: What the others are compared with.
BASELINE = "mean of 50"
PLAIN: dict[str, tuple[int, int, Callable[[Sequence[float]], float]]] = {
    BASELINE: (10, 50, fmean),
    "median of 100": (10, 100, median),
}
TOOL = "benchmark_app"
ESTIMATORS = (*EFFORTS, *PLAIN, TOOL)

Row = dict[str, Any]


def cores_at_work() -> dict[str, list[int]]:
    """Condition → cores with a training."""
    cores = available_cores()
    own = measuring_core()
    found: dict[str, list[int]] = {"idle": []}
    if len(cores) > 1:
        found["one trainer"] = [cores[0]]
    return found | {"two trainers": [cores[0], own] if len(cores) > 1 else [own, own]}


def plain(path: Path, runtime: str, estimator: str) -> Row:
    """Wall times of the runs a simple estimator looks at, nanoseconds."""
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
    """What OpenVINO's benchmark_app says is the median, in its own process on the measuring core."""
    command = [
        str(Path(sys.executable).parent / TOOL),
        "-m",
        str(path),
        "-d",
        "CPU",
        "-api",
        "sync",
        "-t",
        str(seconds),
    ]
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
    """A measurement's samples and what is needed to derive its latency from them."""
    latency = process.measure(path, target, effort=EFFORTS[estimator])
    kept = ("reference_ms", "rung", "processor_s", "seconds", "disturbed", "reference_drift")
    return {"samples": latency.samples, **{key: latency.conditions[key] for key in kept}}


def value_ms(row: Row) -> float:
    """The number an estimator reports, from its raw samples."""
    if "samples" in row:
        return derive(Samples.from_bytes(row["samples"]), row["reference_ms"]).latency_ms
    if "wall_ns" in row:
        return PLAIN[row["estimator"]][2](row["wall_ns"]) / 1e6
    return float(row["median_ms"])


def measure_all(options: argparse.Namespace, paths: Sequence[Path]) -> Iterator[Row]:
    """One row a condition, pass, network and estimator."""
    with MeasuringProcess(TargetSpec("local", runtime=options.runtime)) as process:
        target = process.calibrate()
        conditions = cores_at_work()
        pin([measuring_core()])  # simple estimators use the same core
        for condition, cores in conditions.items():
            if condition not in options.conditions:
                continue
            load: AbstractContextManager[None] = trainers(cores) if cores else nullcontext()
            with load:
                for number in range(options.passes):
                    until = time.monotonic() + 60 * options.minutes
                    for path in paths:
                        for estimator in ESTIMATORS:
                            about = {"condition": condition, "pass": number, "net": path.stem, "estimator": estimator}
                            yield about | _row(options, process, target, path, estimator)
                    if number + 1 < options.passes:
                        time.sleep(max(0.0, until - time.monotonic()))


def _row(options: argparse.Namespace, process: MeasuringProcess, target: Target, path: Path, estimator: str) -> Row:
    if estimator in EFFORTS:
        return protocol(process, target, path, estimator)
    return plain(path, options.runtime, estimator) if estimator in PLAIN else tool(path, options.tool_seconds)


def summarise(rows: Sequence[Row]) -> dict[str, dict[str, dict[str, float]]]:
    """Condition → estimator → how its passes agree."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for condition in dict.fromkeys(row["condition"] for row in rows):
        mine = [row for row in rows if row["condition"] == condition]
        for estimator in dict.fromkeys(row["estimator"] for row in mine):
            chosen = [row for row in mine if row["estimator"] == estimator]
            found.setdefault(condition, {})[estimator] = agreement(chosen)
        baseline = found[condition][BASELINE]["cv"]
        for values in found[condition].values():
            values["cv_ratio"] = values["cv"] / baseline
    return found


def agreement(rows: Sequence[Row]) -> dict[str, float]:
    """Of one estimator in one condition."""
    passes = sorted({row["pass"] for row in rows})
    table = np.array([[value_ms(row) for row in rows if row["pass"] == number] for number in passes])
    taus = [kendalltau(one, other).statistic for one, other in combinations(table, 2)]
    spread = table.std(axis=0, ddof=1) / table.mean(axis=0)
    return {
        "kendall_tau": float(np.mean(taus)),
        "kendall_tau_worst": float(np.min(taus)),
        "cv": float(np.sqrt((spread**2).mean())),
        "cv_worst": float(spread.max()),
        "processor_s": fmean(row["processor_s"] for row in rows),
        "latency_ms": float(np.median(table)),
    }


def save(rows: Sequence[Row], folder: Path) -> None:
    """Write raw samples: a file a measurement of the protocol, everything else in ``rows.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = []
    for number, row in enumerate(rows):
        kept.append(dict(row))
        if "samples" in row:
            kept[-1]["samples"] = f"{number}.npz"
            (folder / f"{number}.npz").write_bytes(row["samples"])
    (folder / "rows.json").write_text(json.dumps(kept))


def load(folder: Path) -> list[Row]:
    """What ``save`` wrote."""
    rows: list[Row] = json.loads((folder / "rows.json").read_text())
    for row in rows:
        if "samples" in row:
            row["samples"] = (folder / row["samples"]).read_bytes()
    return rows


def print_table(summary: dict[str, dict[str, dict[str, float]]]) -> None:
    """For people."""
    head = f"{'condition':>14}{'estimator':>16}{'ms':>9}{'tau':>8}{'worst':>8}{'CV %':>8}{'worst':>8}{'cpu s':>8}"
    print(head + f"{'CV / ' + BASELINE:>18}")
    for condition, estimators in summary.items():
        for name, found in estimators.items():
            print(
                f"{condition:>14}{name:>16}{found['latency_ms']:>9.3f}{found['kendall_tau']:>8.3f}"
                f"{found['kendall_tau_worst']:>8.3f}{100 * found['cv']:>8.2f}{100 * found['cv_worst']:>8.2f}"
                f"{found['processor_s']:>8.2f}{found['cv_ratio']:>18.2f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", type=int, default=len(COLUMNS), help=f"2 to {len(COLUMNS)} (default all)")
    parser.add_argument("--depth", type=int, default=DEPTH, help="layers of a network (default: a millisecond)")
    parser.add_argument("--passes", type=int, default=2, help="times everything is measured (default 2)")
    parser.add_argument("--minutes", type=float, default=2.0, help="from one pass to the next, at least (default 2)")
    parser.add_argument("--conditions", nargs="+", choices=list(cores_at_work()), default=list(cores_at_work()))
    parser.add_argument("--runtime", default="onnxruntime", help="of all but benchmark_app (default onnxruntime)")
    parser.add_argument("--tool-seconds", type=int, default=1, help="that benchmark_app runs (default 1)")
    parser.add_argument("--raw", type=Path, help="folder for the raw samples")
    parser.add_argument("--from", type=Path, dest="recorded", help="such a folder: measure nothing, make the table")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    if not (2 <= options.nets <= len(COLUMNS) and options.passes >= 2):
        parser.error(f"--nets is 2 to {len(COLUMNS)}, --passes at least 2")
    if options.recorded:
        rows = load(options.recorded)
    else:
        if not shutil.which(TOOL, path=str(Path(sys.executable).parent)):
            parser.error(f"there is no {TOOL} beside {sys.executable}; pip install openvino")
        with tempfile.TemporaryDirectory() as folder:
            rows = list(measure_all(options, write_nets(Path(folder), options.nets, options.depth)))
        if options.raw:
            save(rows, options.raw)
    summary = summarise(rows)
    if options.json:
        print(json.dumps({"baseline": BASELINE, "summary": summary}))
    else:
        print_table(summary)


if __name__ == "__main__":
    main()
