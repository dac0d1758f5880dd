"""Do repeated measurements rank networks in the same order, even beside other work on the machine?

    python benchmarks/rank_stability.py --passes 3 --minutes 2 --raw raw/ranks
    python benchmarks/rank_stability.py --from raw/ranks --json

Networks whose latencies differ by 3 to 25 % are measured in several passes, minutes apart. The measuring protocol
("screen": one session; "report": at least four) is compared with the mean of 50 runs after 10 warm-up runs, the median
of 100 runs, and OpenVINO's benchmark_app. The conditions are an idle machine, a training on another core, and trainings
on the measuring core and another one. For each estimator, the table shows Kendall's tau between passes, the coefficient
of variation (CV) of a network's latency between passes, and the processor seconds per network. The last column divides
the CV by that of the mean of 50 in the same condition. All results are computed from the raw samples, which --raw
keeps.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import combinations, product
from pathlib import Path
from statistics import fmean

import numpy as np
from estimators import BASELINE, EFFORTS, PLAIN, TOOL, TOOL_PATH, plain, protocol, tool, value_ms
from raw import Row, parsed, parser_of, rows_of, show
from scipy.stats import kendalltau
from surroundings import COLUMNS, cores_at_work, trainers

from nas.latency.machine.affinity import measuring_core, pin
from nas.latency.process.client import MeasuringProcess
from nas.latency.targets import Target, TargetSpec

ESTIMATORS = (*EFFORTS, *PLAIN, TOOL)


def measure_all(options: argparse.Namespace, paths: Sequence[Path]) -> Iterator[Row]:
    """Yield one row for each condition, pass, network and estimator."""
    with MeasuringProcess(TargetSpec("local", runtime=options.runtime)) as process:
        target = process.calibrate()
        conditions = cores_at_work()
        pin([measuring_core()])  # simple estimators use the same core
        for condition, cores in conditions.items():
            if condition in options.conditions:
                with trainers(cores):
                    yield from _passes(options, process, target, paths, condition)


def _passes(
    options: argparse.Namespace, process: MeasuringProcess, target: Target, paths: Sequence[Path], condition: str
) -> Iterator[Row]:
    for number in range(options.passes):
        until = time.monotonic() + 60 * options.minutes
        for path, estimator in product(paths, ESTIMATORS):
            about = {"condition": condition, "pass": number, "net": path.stem, "estimator": estimator}
            yield about | _row(options, process, target, path, estimator)
        if number + 1 < options.passes:
            time.sleep(max(0.0, until - time.monotonic()))


def _row(options: argparse.Namespace, process: MeasuringProcess, target: Target, path: Path, estimator: str) -> Row:
    if estimator in EFFORTS:
        return protocol(process, target, path, estimator)
    return plain(path, options.runtime, estimator) if estimator in PLAIN else tool(path, options.tool_seconds)


def summarise(rows: Sequence[Row]) -> dict[str, dict[str, dict[str, float]]]:
    """Condition → estimator → agreement of its passes."""
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
    """Agreement of the passes of one estimator in one condition."""
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


def print_table(summary: dict[str, dict[str, dict[str, float]]]) -> None:
    """Print the table."""
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
    parser = parser_of(__doc__, nets=len(COLUMNS))
    parser.add_argument("--passes", type=int, default=2, help="how often everything is measured (default 2)")
    parser.add_argument(
        "--minutes", type=float, default=2.0, help="minutes from one pass to the next, at least (default 2)"
    )
    parser.add_argument("--conditions", nargs="+", choices=list(cores_at_work()), default=list(cores_at_work()))
    parser.add_argument("--tool-seconds", type=int, default=1, help="how long benchmark_app runs (default 1)")
    options = parsed(parser, nets=2, passes=2)
    if not options.recorded and not TOOL_PATH.exists():
        parser.error(f"there is no {TOOL} beside {sys.executable}; pip install openvino")
    summary = summarise(rows_of(options, measure_all))
    show(options, {"baseline": BASELINE, "summary": summary}, lambda: print_table(summary))


if __name__ == "__main__":
    main()
