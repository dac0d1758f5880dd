"""How well do latencies repeat? Nets a few percent apart, each measured twice, minutes apart.

Compares the measuring protocol with what is usually done: the mean of 50 runs after 10 warm-up runs.

Example: ``python benchmarks/latency_repeatability.py --minutes 2 --json``
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from scipy.stats import kendalltau

from nas.latency.affinity import measuring_core, pin
from nas.latency.client import MeasuringProcess
from nas.latency.protocol import REPORT, SCREEN
from nas.latency.runtimes import SessionOptions
from nas.latency.runtimes.onnxruntime import OnnxRuntime
from nas.latency.targets import Target, TargetSpec

#: Columns of the input, and thus the work, of each net: neighbours are 3–25 % apart.
COLUMNS = (20, 25, 26, 28, 29, 32, 33, 36, 38, 42, 46, 56)
CHANNELS, ROWS, DEPTH = 16, 16, 4
ESTIMATORS = ("mean of 50", "screen", "report")


def write_net(path: Path, columns: int) -> None:
    """Write a stack of 3×3 convolutions with ReLU on ``(1, CHANNELS, ROWS, columns)``."""
    generator = np.random.default_rng(0)
    shape = [1, CHANNELS, ROWS, columns]
    nodes, weights = [], []
    for index in range(DEPTH):
        kernel = generator.normal(0, (2 / (9 * CHANNELS)) ** 0.5, (CHANNELS, CHANNELS, 3, 3))
        weights.append(numpy_helper.from_array(kernel.astype(np.float32), f"w{index}"))
        convolution = helper.make_node("Conv", [f"x{index}", f"w{index}"], [f"c{index}"], pads=[1] * 4)
        nodes += [convolution, helper.make_node("Relu", [f"c{index}"], [f"x{index + 1}"])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x0", f"x{DEPTH}")]
    graph = helper.make_graph(nodes, path.stem, ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


def mean_of_50(path: Path) -> float:
    """What is usually reported: the mean wall time of 50 runs after 10, milliseconds."""
    session = OnnxRuntime().open(path, SessionOptions())
    try:
        session.burst(10)
        return fmean(session.burst(50).wall_ns) / 1e6
    finally:
        session.close()


def measure_all(process: MeasuringProcess, target: Target, paths: list[Path]) -> list[dict[str, Any]]:
    """One row a net: its time by every estimator."""
    rows = []
    for path in paths:
        row: dict[str, Any] = {"net": path.stem, "mean of 50": mean_of_50(path)}
        for name, effort in (("screen", SCREEN), ("report", REPORT)):
            started = time.monotonic()
            latency = process.measure(path, target, effort=effort)
            row[name] = latency.latency_ms
            row[f"{name} interval"] = [latency.low_ms, latency.high_ms]
            row[f"{name} seconds"] = time.monotonic() - started
            row[f"{name} drift"] = latency.conditions["reference_drift"]
        rows.append(row)
    return rows


def compare(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Of each estimator: how far repeats are apart, and whether they rank alike."""
    found = {}
    for name in ESTIMATORS:
        before, after = (np.array([row[name] for row in rows]) for rows in (first, second))
        apart = np.abs(np.log(after / before))
        found[name] = {
            "median_apart": float(np.expm1(np.median(apart))),
            "max_apart": float(np.expm1(apart.max())),
            "within_5_percent": float((np.expm1(apart) <= 0.05).mean()),
            "kendall_tau": float(kendalltau(before, after).statistic),
        }
        if name != "mean of 50":
            pairs = [
                (row[f"{name} interval"], again[f"{name} interval"]) for row, again in zip(first, second, strict=True)
            ]
            found[name]["intervals_overlap"] = fmean(one[0] <= two[1] and two[0] <= one[1] for one, two in pairs)
            found[name]["seconds"] = fmean(row[f"{name} seconds"] for row in first + second)
    return found


def print_table(
    first: list[dict[str, Any]], second: list[dict[str, Any]], summary: dict[str, dict[str, float]]
) -> None:
    """For people."""
    print(f"{'net':>8}" + "".join(f"{name + ' ms':>22}{'again':>7}" for name in ESTIMATORS))
    for row, again in zip(first, second, strict=True):
        cells = (f"{row[name]:>22.4f}{again[name] / row[name]:>7.3f}" for name in ESTIMATORS)
        print(f"{row['net']:>8}" + "".join(cells))
    print()
    for name, values in summary.items():
        print(f"{name:>12}  " + "  ".join(f"{key} {value:.3f}" for key, value in values.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", type=int, default=8, help=f"2 to {len(COLUMNS)} (default 8)")
    parser.add_argument("--minutes", type=float, default=2.0, help="between the two measurements (default 2)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    arguments = parser.parse_args()
    if not 2 <= arguments.nets <= len(COLUMNS):
        parser.error(f"--nets is {arguments.nets}; it must be 2 to {len(COLUMNS)}")
    with tempfile.TemporaryDirectory() as folder, MeasuringProcess(TargetSpec("local")) as process:
        paths = [Path(folder) / f"{columns}.onnx" for columns in COLUMNS[: arguments.nets]]
        for path, columns in zip(paths, COLUMNS, strict=False):
            write_net(path, columns)
        target = process.calibrate()
        pin([measuring_core()])  # the plain mean is taken on the same core
        first = measure_all(process, target, paths)
        time.sleep(60 * arguments.minutes)
        second = measure_all(process, target, paths)
    summary = compare(first, second)
    if arguments.json:
        print(json.dumps({"first": first, "second": second, "summary": summary, "target": target.to_json()}))
    else:
        print_table(first, second, summary)


if __name__ == "__main__":
    main()
