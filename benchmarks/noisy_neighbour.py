"""Is a process that occupies the measuring core detected, and does it change the result?

    python benchmarks/noisy_neighbour.py --repeats 10 --raw raw/neighbour
    python benchmarks/noisy_neighbour.py --from raw/neighbour --json

Every network is measured alone, and then beside a process that keeps the measuring core busy all the time. In both
conditions, it is measured by the measuring protocol ("report") and by the baseline, the mean of 50 runs after 10
warm-up runs. The flagged share is the share of measurements marked as disturbed. The shift is the latency beside the
busy process, divided by the latency alone, minus 1. All results are computed from the raw samples, which --raw keeps,
except the flags, which the measuring process sets from its observations of the machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from estimators import BASELINE, plain, protocol, value_ms
from raw import Row, parsed, parser_of, rows_of, show
from surroundings import HOG, working

from nas.latency.machine.affinity import measuring_core, pin
from nas.latency.process.client import MeasuringProcess
from nas.latency.targets import TargetSpec

REPORT = "report"
ALONE, BESIDE = "alone", "beside a hog"
#: Largest shift of a result that counts as unchanged.
UNMOVED = 0.03


def measure_all(options: argparse.Namespace, paths: Sequence[Path]) -> Iterator[Row]:
    """Yield one row for each repeat, network, condition and estimator."""
    core = measuring_core()
    with MeasuringProcess(TargetSpec("local", runtime=options.runtime)) as process:
        target = process.calibrate()
        pin([core])
        for repeat in range(options.repeats):
            for path in paths:
                for condition in (ALONE, BESIDE):
                    about = {"repeat": repeat, "net": path.stem, "condition": condition}
                    with working(HOG, core) if condition == BESIDE else nullcontext():
                        yield {**about, "estimator": REPORT, **protocol(process, target, path, REPORT)}
                        yield {**about, "estimator": BASELINE, **plain(path, options.runtime, BASELINE)}


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """The flagged shares, and the shifts of both estimators."""
    flags = {
        condition: [row["disturbed"] for row in rows if row["estimator"] == REPORT and row["condition"] == condition]
        for condition in (ALONE, BESIDE)
    }
    found: dict[str, Any] = {"flagged": {condition: float(np.mean(seen)) for condition, seen in flags.items()}}
    for name in (REPORT, BASELINE):
        values = {
            condition: np.array(
                [value_ms(row) for row in rows if row["estimator"] == name and row["condition"] == condition]
            )
            for condition in (ALONE, BESIDE)
        }
        shifts = values[BESIDE] / values[ALONE] - 1
        found[name] = {
            "median_shift": float(np.median(np.abs(shifts))),
            "mean_shift": float(shifts.mean()),
            "worst_shift": float(np.abs(shifts).max()),
            "unmoved": float((np.abs(shifts) <= UNMOVED).mean()),
            "measurements": len(shifts),
        }
    found["shift_ratio"] = found[REPORT]["median_shift"] / found[BASELINE]["median_shift"]
    return found


def print_table(summary: dict[str, Any]) -> None:
    """Print the table."""
    for condition, share in summary["flagged"].items():
        print(f"flagged as disturbed, {condition}: {share:.1%}")
    print(f"{'estimator':>12}{'pairs':>7}{'median shift %':>16}{'mean %':>9}{'worst %':>9}{'within 3 %':>12}")
    for name in (REPORT, BASELINE):
        found = summary[name]
        print(
            f"{name:>12}{found['measurements']:>7}{100 * found['median_shift']:>16.2f}{100 * found['mean_shift']:>9.2f}"
            f"{100 * found['worst_shift']:>9.2f}{found['unmoved']:>12.1%}"
        )
    print(f"median shift, divided by that of the {BASELINE}: {summary['shift_ratio']:.3f}")


def main() -> None:
    parser = parser_of(__doc__, nets=4)
    parser.add_argument("--repeats", type=int, default=10, help="measurements of every network (default 10)")
    options = parsed(parser, nets=1, repeats=1)
    summary = summarise(rows_of(options, measure_all))
    show(options, {"baseline": BASELINE, "summary": summary}, lambda: print_table(summary))


if __name__ == "__main__":
    main()
