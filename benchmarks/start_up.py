"""How much time and memory does a start take, compared with the start of Python itself?

    python benchmarks/start_up.py
    python benchmarks/start_up.py --runs 15 --json

The table shows medians of wall time, processor time and peak memory. The commands take turns, so that a disturbance
affects all of them. The first run of each command does not count, because it compiles modules.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

NAS = str(Path(sys.executable).parent / "nas")
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import measured_nas": [sys.executable, "-c", "import measured_nas"],
    "nas --help": [NAS, "--help"],
    "nas measure --help": [NAS, "measure", "--help"],
}
#: Starts a command and prints its cost. It imports almost nothing, because a process inherits the peak memory of the
#: process that starts it.
LAUNCH = """
import os, sys, time
begun = time.perf_counter()
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(child, 0)
wall_s, processor_s = time.perf_counter() - begun, usage.ru_utime + usage.ru_stime
print(f'{{"wall_s": {wall_s}, "processor_s": {processor_s}, "peak_bytes": {usage.ru_maxrss * 1024}}}')
sys.exit(os.waitstatus_to_exitcode(status))
"""
#: Key → heading of its column, and the unit that values are divided by.
COLUMNS = {"wall_s": ("wall, ms", 1e-3), "processor_s": ("processor, ms", 1e-3), "peak_bytes": ("memory, MB", 1e6)}


def run(command: list[str]) -> dict[str, float]:
    """Wall and processor seconds of one process, and its peak memory in bytes."""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", LAUNCH, *command], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def measure(runs: int) -> list[dict[str, Any]]:
    """One row for each command: medians, and in ``ratios`` the medians divided by those of the first command."""
    for command in COMMANDS.values():
        run(command)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in COMMANDS}
    for _ in range(runs):
        for name, command in COMMANDS.items():
            found[name].append(run(command))
    medians = {
        name: {key: statistics.median(item[key] for item in items) for key in COLUMNS} for name, items in found.items()
    }
    base = next(iter(medians.values()))
    return [
        {"command": name, **values, "ratios": {key: values[key] / base[key] for key in COLUMNS}}
        for name, values in medians.items()
    ]


def table(rows: list[dict[str, Any]]) -> Table:
    """A table of the values, each with its ratio."""
    shown = Table("command", box=None, padding=(0, 2))
    for heading, _ in COLUMNS.values():
        shown.add_column(heading, justify="right")
        shown.add_column("ratio", justify="right")
    for row in rows:
        cells = [
            text
            for key, (_, unit) in COLUMNS.items()
            for text in (f"{row[key] / unit:.1f}", f"{row['ratios'][key]:.1f}")
        ]
        shown.add_row(row["command"], *cells)
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7, help="runs of each command (default 7)")
    parser.add_argument("--json", action="store_true", help="one JSON list instead of the table")
    arguments = parser.parse_args()
    rows = measure(arguments.runs)
    if arguments.json:
        print(json.dumps(rows, indent=2))
    else:
        Console(width=110).print(table(rows))


if __name__ == "__main__":
    main()
