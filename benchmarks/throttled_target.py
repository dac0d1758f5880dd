"""How soon do canaries detect that a device is throttled?

    python benchmarks/throttled_target.py --every 5 --repeats 5

An agent on this machine measures one network repeatedly, with canaries at regular intervals as in a study. At a random
measurement, its processor quota is reduced to a share of a core, which needs permission to create control groups. The
benchmark prints how many measurements are made until a canary detects this, and the errors of their latencies. A study
repeats these measurements; a study without canaries would keep them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, median
from typing import Any

from surroundings import DEPTH, write_nets

from nas.latency.agent.remote import open_measurer
from nas.latency.process.client import Measurer
from nas.latency.protocol.measure import SCREEN
from nas.latency.targets import Target, TargetSpec
from trials.coordinator.targets.canaries import Canaries
from trials.plans.plan import MeasurePlan

GROUPS = Path("/sys/fs/cgroup")
PERIOD_US = 100_000
NAME = "device"

Row = dict[str, Any]


class Quota:
    """A control group with a processor quota, of cgroup version 1 or 2."""

    def __init__(self) -> None:
        version_1 = (GROUPS / "cpu" / "cpu.cfs_quota_us").exists() or (GROUPS / "cpu" / "cgroup.procs").exists()
        self._version_1, self._root = version_1, GROUPS / "cpu" if version_1 else GROUPS
        self._group = self._root / f"throttled-{os.getpid()}"
        try:
            self._group.mkdir()
        except OSError as error:
            raise SystemExit(
                f"{self._group} can't be created ({error}); run this where control groups are writable"
            ) from None

    def limit(self, pids: list[int], share: float) -> None:
        """Limit the processes together to a share of a core."""
        quota_us = int(share * PERIOD_US)
        if self._version_1:
            (self._group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (self._group / "cpu.cfs_quota_us").write_text(str(quota_us))
        else:
            (self._group / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")
        self._move(pids, self._group)

    def lift(self, pids: list[int]) -> None:
        """Remove the limit of the processes."""
        self._move(pids, self._root)

    def remove(self) -> None:
        self._group.rmdir()

    def _move(self, pids: list[int], group: Path) -> None:
        for pid in pids:
            (group / "cgroup.procs").write_text(str(pid))


@contextmanager
def agent(folder: Path) -> Iterator[tuple[TargetSpec, int]]:
    """Start an agent; yield its target and its process id."""
    token_file = folder / "token"
    token_file.write_text(secrets.token_hex(16))
    token_file.chmod(0o600)
    command = [sys.executable, "-m", "nas.latency.agent", "--port=0", f"--token-file={token_file}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        if not said.startswith("agent at "):
            raise SystemExit("the agent did not start")
        address = f"http://127.0.0.1:{said.rpartition(':')[2].strip()}"
        yield TargetSpec(NAME, address=address, token_file=str(token_file)), process.pid
    finally:
        process.terminate()
        process.communicate()


def family(pid: int) -> list[int]:
    """Ids of a process and its children."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [pid, *(int(child) for thread in threads for child in (thread / "children").read_text().split())]


def slots(measurer: Measurer, target: Target, net: Path, canaries: Canaries, limit: float) -> Iterator[float | None]:
    """Yield latencies one after another, and None at the end when a canary finds the target bad."""
    while True:
        if canaries.due(NAME):
            canaries.started(NAME)
            if not canaries.finished(NAME, measurer.health(target, limit)):
                yield None
                return
        canaries.handed_out(NAME)
        yield measurer.measure(net, target, effort=SCREEN).latency_ms


def caught(options: argparse.Namespace, quota: Quota, measurer: Measurer, target: Target, net: Path, pid: int) -> Row:
    """Measure, reduce the quota, and continue to measure until a canary detects it; return what was found."""
    plan = MeasurePlan(canary_every=options.every)
    measuring = slots(measurer, target, net, Canaries(plan, {NAME: None}), plan.max_drift)
    before = [next(measuring) for _ in range(random.randint(1, 2 * options.every))]
    if None in before:
        return {"false_alarm": True, "before_ms": before, "after_ms": []}
    quota.limit(family(pid), options.share)
    try:
        after: list[float | None] = []
        while len(after) <= 4 * options.every and (not after or after[-1] is not None):
            after.append(next(measuring))
    finally:
        quota.lift(family(pid))
    return {
        "false_alarm": False,
        "found": after[-1] is None,
        "before_ms": before,
        "after_ms": [item for item in after if item],
    }


def summarise(rows: list[Row], every: int) -> Row:
    """How soon the throttling is detected, and the errors of the latencies until then."""
    cut = [row for row in rows if not row["false_alarm"]]
    late = [len(row["after_ms"]) for row in cut]
    usual = median(value for row in cut for value in row["before_ms"])
    off = [value / usual - 1 for row in cut for value in row["after_ms"]]
    return {
        "repeats": len(rows),
        "false_alarms": len(rows) - len(cut),
        "caught_in_time": fmean(row["found"] and count <= every for row, count in zip(cut, late, strict=True)),
        "measurements_until_caught": late,
        "off_median": median(map(abs, off)) if off else 0.0,
        "off_worst": max(map(abs, off), default=0.0),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=5, help="measurements between canaries (default 5)")
    parser.add_argument("--share", type=float, default=0.5, help="share of a core that is left (default 0.5)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    options = parser.parse_args()
    random.seed(0)
    quota = Quota()
    try:
        with tempfile.TemporaryDirectory() as name, agent(Path(name)) as (spec, pid), open_measurer(spec) as measurer:
            net = write_nets(Path(name), 1, DEPTH)[0]
            target = measurer.calibrate()
            rows = [caught(options, quota, measurer, target, net, pid) for _ in range(options.repeats)]
    finally:
        quota.remove()
    found = summarise(rows, options.every)
    if options.json:
        print(json.dumps({"rows": rows, **found}))
        return
    print(f"{found['repeats']} repeats at {options.share:.0%} of a core, a canary every {options.every} measurements")
    print(f"detected by the next canary: {found['caught_in_time']:.0%}; false alarms: {found['false_alarms']}")
    print(f"measurements until detected: {found['measurements_until_caught']}")
    print(f"error of these latencies: {found['off_median']:.1%} (median), {found['off_worst']:.1%} (largest)")


if __name__ == "__main__":
    main()
