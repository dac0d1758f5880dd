"""How much time does an executor cost for jobs that do nothing, and after a worker is killed?

    python benchmarks/executors.py
    python benchmarks/executors.py local ray_actors --seconds 5 --json

Every executor runs in a separate process, with one pool of two workers. Ratios are to ``ray_actors``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from trials.executors import EXECUTORS, Event, Executor, Job, Pool

POOL = Pool("train", size=2)
BASE = "ray_actors"
#: Key → heading of its column.
COLUMNS = {
    "start_s": "start, s",
    "first_job_s": "first job, s",
    "ms_per_job": "ms per job",
    "ratio": "ratio",
    "coordinator_ms_per_job": "coordinator, processor ms per job",
    "lost_s": "killed worker reported after, s",
    "usable_s": "both workers usable after, s",
    "close_s": "close, s",
}


def nothing(payload: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield one value, as a measurement does."""
    yield {"value": payload["number"]}


def wait(payload: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"pid": os.getpid()}
    time.sleep(600)


class Bench:
    """Runs jobs in one executor."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.count = 0

    def submit(self, function: str) -> None:
        self.count += 1
        key = str(self.count)
        self.executor.submit(Job(key, f"executors:{function}", {"number": self.count}, POOL.name))

    def ended(self, kind: str) -> int:
        """How many jobs ended within a second; raises RuntimeError if one did not end with ``kind``."""
        events = [event for event in self.executor.poll(1.0) if event.kind != "progress"]
        unexpected = [event for event in events if event.kind != kind]
        if unexpected:
            raise RuntimeError(f"expected {kind}: {unexpected}")
        return len(events)

    def run(self, jobs: int = 0, seconds: float = 0.0) -> int:
        """Run a number of jobs, or jobs for some seconds, with both workers busy; return how many ran."""
        done = given = 0
        end = time.perf_counter() + seconds
        while done < given or given < jobs or time.perf_counter() < end:
            while (given < jobs or time.perf_counter() < end) and self.executor.free(POOL.name):
                self.submit("nothing")
                given += 1
            done += self.ended("done")
        return done

    def first_event(self) -> Event:
        while not (events := self.executor.poll(1.0)):
            pass
        return events[0]


def measure(name: str, seconds: float) -> dict[str, Any]:
    """Measure one executor in this process."""
    kind = EXECUTORS.get(name)
    clock = time.perf_counter
    started = clock()
    executor = kind([POOL], code=[str(Path(__file__).parent)])
    found: dict[str, Any] = {"executor": name, "start_s": clock() - started}
    try:
        bench = Bench(executor)
        started = clock()
        bench.run(jobs=1)
        found["first_job_s"] = clock() - started
        bench.run(jobs=2 * POOL.size)
        started, processor = clock(), time.process_time()
        found["jobs"] = bench.run(seconds=seconds)
        found["ms_per_job"] = 1e3 * (clock() - started) / found["jobs"]
        found["coordinator_ms_per_job"] = 1e3 * (time.process_time() - processor) / found["jobs"]
        found |= kill_a_worker(bench)
    finally:
        started = clock()
        executor.close()
        found["close_s"] = clock() - started
    return found


def kill_a_worker(bench: Bench) -> dict[str, float]:
    """Seconds until a killed worker is reported, and until both workers have run a job again."""
    bench.submit("wait")
    pid = bench.first_event().value["pid"]
    os.kill(pid, signal.SIGKILL)
    killed = time.perf_counter()
    while not bench.ended("lost"):
        pass
    lost = time.perf_counter() - killed
    bench.run(jobs=POOL.size)
    return {"lost_s": lost, "usable_s": time.perf_counter() - killed}


def conditions() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "ray": version("ray"),
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
    }


def in_own_process(name: str, seconds: float) -> dict[str, Any]:
    """Measure one executor in a separate process; the last line it prints is the result, Ray may print lines before."""
    command = [sys.executable, __file__, name, "--here", f"--seconds={seconds}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(rows: list[dict[str, Any]]) -> Table:
    shown = Table("executor", *COLUMNS.values(), title="Jobs that do nothing, two workers")
    for row in rows:
        cells = [f"{row[key]:.3g}" if row.get(key) is not None else "–" for key in COLUMNS]
        shown.add_row(row["executor"], *cells)
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=EXECUTORS.names(), metavar="EXECUTOR")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long jobs run in each executor (default 10)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(measure(arguments.names[0], arguments.seconds)))
        return
    where = conditions()
    rows = [in_own_process(name, arguments.seconds) for name in arguments.names]
    base = next((row["ms_per_job"] for row in rows if row["executor"] == BASE), None)
    for row in rows:
        row["ratio"] = row["ms_per_job"] / base if base else None
    if arguments.json:
        print(json.dumps({"conditions": where, "executors": rows}, indent=2))
    else:
        Console().print(table(rows))


if __name__ == "__main__":
    main()
