"""Latency of an exported network, with the conditions that it depends on. Needs only numpy."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from trials.export.scripts.verification.lines import Line, line

#: Number of rounds, and shortest duration of a round, seconds.
ROUNDS, ROUND_S = 9, 0.04
WARM_UP_S = 0.2
#: The recorded interval is widened by this share of its lower end below, and of its upper end above.
MARGIN = 0.1


def measure(
    run: Callable[[np.ndarray], np.ndarray], inputs: np.ndarray, threads: int, runtime: tuple[str, str]
) -> dict[str, Any]:
    """Time a network: the shortest run of each round, their median, smallest and largest, in milliseconds."""
    until = time.perf_counter() + WARM_UP_S
    while time.perf_counter() < until:
        run(inputs)
    rounds = []
    for _ in range(ROUNDS):
        until, times = time.perf_counter() + ROUND_S, list[float]()
        while not times or time.perf_counter() < until:
            started = time.perf_counter()
            run(inputs)
            times.append(1e3 * (time.perf_counter() - started))
        rounds.append(min(times))
    return {
        "latency_ms": median(rounds),
        "low_ms": min(rounds),
        "high_ms": max(rounds),
        "threads": threads,
        "runtime": list(runtime),
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cpu_quota": _quota(),
    }


def compare(now: dict[str, Any], recorded: dict[str, Any]) -> Iterator[Line]:
    """Lines for every condition that differs, and for the latency: judged only under the same conditions."""
    names = {"processor": "processor", "threads": "threads", "cpus": "CPUs", "cpu_quota": "CPU quota"}
    differing = []
    for key, name in names.items():
        before, found = recorded[key], now[key]
        if before != found:
            shown = [("none" if value is None else f"{value}") for value in (found, before)]
            differing.append(f"{name} {shown[0]} instead of {shown[1]}")
            reason = "latencies can differ for this reason"
            yield line(name, "warning", f"{shown[0]}, recorded {shown[1]}", reason)
    if now["runtime"] != recorded["runtime"]:
        differing.append(f"{' '.join(now['runtime'])} instead of {' '.join(recorded['runtime'])}")
    low, high = recorded["low_ms"] * (1 - MARGIN), recorded["high_ms"] * (1 + MARGIN)
    found = (
        f"{now['latency_ms']:.4g} ms, recorded {recorded['low_ms']:.4g} to {recorded['high_ms']:.4g} ms "
        f"(allowed: up to {MARGIN * 100:.0f} % outside)"
    )
    verdict, reason = "pass", ""
    if differing:
        verdict, reason = "not judged", "; ".join(differing)
    elif not low <= now["latency_ms"] <= high:
        word = "slower" if now["latency_ms"] > high else "faster"
        verdict, reason = "warning", f"{word} than recorded under the same conditions; is the machine busy?"
    yield line("latency", verdict, found, reason)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        import platform

        return platform.processor() or platform.machine()
    return next((text.partition(":")[2].strip() for text in lines if text.startswith("model name")), "unknown")


def _quota() -> float | None:
    """CPUs that the control groups of this process may use; None without a limit."""
    try:
        groups = [text.split(":", 2) for text in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return None
    found = []
    for _, controllers, place in groups:
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = Path("/sys/fs/cgroup") / controllers
        for folder in (Path(place), *Path(place).parents):
            try:
                found.append(_quota_of(root / folder.relative_to("/")))
            except (OSError, ValueError):  # no such group here, or a limit that is not a number
                continue
    return min(found, default=None)


def _quota_of(folder: Path) -> float:
    """CPUs that one control group may use.

    Raises:
        ValueError: it has no limit.
    """
    if (folder / "cpu.max").exists():
        quota, period = (folder / "cpu.max").read_text().split()
        return float(quota) / float(period)
    quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
    if int(quota) < 0:
        raise ValueError("no limit")
    return int(quota) / int(period)
