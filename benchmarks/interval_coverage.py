"""How often do the reported 95 % intervals contain the long-run latency?

    python benchmarks/interval_coverage.py --sessions 30 --minutes 30 --raw raw/coverage
    python benchmarks/interval_coverage.py --from raw/coverage --json

Networks are measured many times over the given minutes by the measuring protocol ("screen": one session; "report": at
least four), each time with one further session. The long-run latency is computed from all of these further sessions.
The baseline is the mean of 50 runs after 10 warm-up runs, with the interval of ± 1.96 standard errors; its long-run
latency is the mean of all its means. All results are computed from the raw samples, which --raw keeps.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from estimators import BASELINE, EFFORTS, plain
from raw import Row, parsed, parser_of, rows_of, show
from surroundings import cores_at_work, trainers

from nas.latency.machine.affinity import measuring_core, pin
from nas.latency.process.client import MeasuringProcess
from nas.latency.protocol.intervals import Derived, derive
from nas.latency.protocol.measure import Effort
from nas.latency.protocol.pooling import pooled
from nas.latency.protocol.samples import Samples
from nas.latency.targets import TargetSpec

LONG_RUN = "long run"
#: The further sessions that the long-run latency is computed from.
SESSION = Effort(sessions=1, max_sessions=1, visits=12, precision=0.02, budget_s=6.0)


def measure_all(options: argparse.Namespace, paths: Sequence[Path]) -> Iterator[Row]:
    """Yield one row for each moment, network and estimator."""
    efforts = {**EFFORTS, LONG_RUN: SESSION}
    cores = cores_at_work()[options.condition]
    with MeasuringProcess(TargetSpec("local", runtime=options.runtime)) as process:
        target = process.calibrate()
        pin([measuring_core()])
        with trainers(cores):
            started = time.monotonic()
            for moment in range(options.sessions):
                until = started + 60 * options.minutes * moment / max(1, options.sessions - 1)
                time.sleep(max(0.0, until - time.monotonic()))
                for path in paths:
                    about = {"moment": moment, "net": path.stem, "at_s": time.monotonic() - started}
                    for name, effort in efforts.items():
                        latency = process.measure(path, target, effort=effort)
                        reference_ms = latency.conditions["reference_ms"]
                        yield {**about, "estimator": name, "samples": latency.samples, "reference_ms": reference_ms}
                    yield {**about, "estimator": BASELINE, **plain(path, options.runtime, BASELINE)}


def interval(row: Row) -> Derived:
    """The latency of a row with its interval, in milliseconds."""
    if "samples" in row:
        return derive(Samples.from_bytes(row["samples"]), row["reference_ms"])
    times_ms = np.array(row["wall_ns"]) / 1e6
    half = 1.96 * times_ms.std(ddof=1) / len(times_ms) ** 0.5
    return Derived(float(times_ms.mean()), float(times_ms.mean() - half), float(times_ms.mean() + half))


def long_run_ms(rows: Sequence[Row]) -> float:
    """The value of all sessions of a network together."""
    samples, reference_ms = pooled([(Samples.from_bytes(row["samples"]), row["reference_ms"]) for row in rows])
    return derive(samples, reference_ms).latency_ms


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """Estimator → share of intervals that contain the long-run latency, and their width; in total and by network."""
    found: dict[str, list[dict[str, float]]] = {}
    for net in dict.fromkeys(row["net"] for row in rows):
        mine = [row for row in rows if row["net"] == net]
        truth_ms = long_run_ms([row for row in mine if row["estimator"] == LONG_RUN])
        for name in (*EFFORTS, BASELINE):
            intervals = [interval(row) for row in mine if row["estimator"] == name]
            own_ms = truth_ms if name in EFFORTS else float(np.mean([item.latency_ms for item in intervals]))
            found.setdefault(name, []).append({"net": net, "long_run_ms": own_ms, **_covered(intervals, own_ms)})
    keys = ("coverage", "half_width", "error", "bias")
    return {
        name: {**{key: float(np.mean([net[key] for net in nets])) for key in keys}, "nets": nets}
        for name, nets in found.items()
    }


def _covered(intervals: Sequence[Derived], truth_ms: float) -> dict[str, float]:
    errors = np.array([item.latency_ms for item in intervals]) / truth_ms - 1
    return {
        "coverage": float(np.mean([item.low_ms <= truth_ms <= item.high_ms for item in intervals])),
        "half_width": float(np.mean([item.half_width for item in intervals])),
        "error": float(np.sqrt((errors**2).mean())),
        "bias": float(errors.mean()),
    }


def print_table(summary: dict[str, Any], rows: Sequence[Row]) -> None:
    """Print the table."""
    print(f"{len({row['moment'] for row in rows})} moments over {max(row['at_s'] for row in rows) / 60:.1f} minutes")
    print(f"{'estimator':>12}{'net':>6}{'long run ms':>13}{'covered %':>11}{'± %':>8}{'error %':>9}{'bias %':>8}")
    for name, found in summary.items():
        for net in [*found["nets"], {"net": "all", **found}]:
            shown = f"{net['long_run_ms']:>13.4f}" if "long_run_ms" in net else f"{'':>13}"
            print(
                f"{name:>12}{net['net']:>6}{shown}{100 * net['coverage']:>11.1f}{100 * net['half_width']:>8.2f}"
                f"{100 * net['error']:>9.2f}{100 * net['bias']:>8.2f}"
            )


def main() -> None:
    parser = parser_of(__doc__, nets=4)
    parser.add_argument("--sessions", type=int, default=30, help="how often networks are measured (default 30)")
    parser.add_argument("--minutes", type=float, default=30.0, help="from the first to the last time (default 30)")
    parser.add_argument(
        "--condition", choices=list(cores_at_work()), default="idle", help="other work on the machine (default idle)"
    )
    options = parsed(parser, nets=1, sessions=2)
    rows = rows_of(options, measure_all)
    summary = summarise(rows)
    show(options, {"baseline": BASELINE, "summary": summary}, lambda: print_table(summary, rows))


if __name__ == "__main__":
    main()
