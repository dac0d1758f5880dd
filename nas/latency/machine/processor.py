"""Speed settings of the processor, and shares of core time by use (Linux; None where the system does not report)."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path("/")
_CPU = "sys/devices/system/cpu"
#: Names of temperature sensors that belong to the processor.
_SENSORS = ("coretemp", "k10temp", "cpu_thermal")
#: Columns of a core in /proc/stat: idle time and waiting for a disk; the first eight columns add up to all time.
_IDLE = (3, 4)
_COLUMNS = 8


def power_state(core: int, root: Path = ROOT) -> dict[str, Any]:
    """Current values that a core's speed depends on: governor, clock, boost, power mode, temperature."""
    frequency = root / _CPU / f"cpu{core}/cpufreq"
    return {
        "governor": _text(frequency / "scaling_governor"),
        "clock_mhz": _thousandth(frequency / "scaling_cur_freq"),
        "max_clock_mhz": _thousandth(frequency / "scaling_max_freq"),
        "boost": _text(root / _CPU / "cpufreq/boost"),
        "power_mode": _text(root / "sys/firmware/acpi/platform_profile")
        or _text(frequency / "energy_performance_preference"),
        "on_mains": _on_mains(root),
        "temperature_c": _temperature(root),
    }


@dataclass(frozen=True)
class CoreShares:
    """Shares of some cores' time, by use; each is between 0 and 1."""

    #: Share of other processes and of interrupts.
    others: float
    #: Share in which the cores were idle.
    idle: float


class CoreWatch:
    """Observes how the time of some cores is used, from the construction of this object on."""

    def __init__(self, cores: Iterable[int]) -> None:
        self._cores = tuple(cores)
        self._started = time.monotonic()
        self._own_s = _own_s()
        self._before = _core_s(self._cores)

    def shares(self, *, others_excused_s: float = 0.0) -> CoreShares | None:
        """Shares of the cores' time since construction; None where the system does not report them.

        Args:
            others_excused_s: seconds of other processes that do not count, such as another measurement that held the
                lock.
        """
        after = _core_s(self._cores)
        spent_s = (time.monotonic() - self._started) * len(self._cores)
        if self._before is None or after is None or spent_s <= 0:
            return None
        busy_s, idle_s = after[0] - self._before[0], after[1] - self._before[1]
        others_s = busy_s - (_own_s() - self._own_s) - others_excused_s
        return CoreShares(others=_share(others_s, spent_s), idle=_share(idle_s, spent_s))


def _share(part: float, whole: float) -> float:
    return min(1.0, max(0.0, part / whole))


def _own_s() -> float:
    """Processor seconds of this process and of its ended child processes."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(item.ru_utime + item.ru_stime for item in used)


def _core_s(cores: Iterable[int]) -> tuple[float, float] | None:
    """Busy and idle seconds of cores since the machine started."""
    wanted = {f"cpu{core}" for core in cores}
    try:
        rows = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
        ticks = [[int(item) for item in row[1 : 1 + _COLUMNS]] for row in rows if row and row[0] in wanted]
        tick_s = 1 / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return None
    if len(ticks) != len(wanted):
        return None
    idle = sum(row[column] for row in ticks for column in _IDLE)
    return (sum(map(sum, ticks)) - idle) * tick_s, idle * tick_s


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _thousandth(path: Path) -> float | None:
    text = _text(path)
    try:
        return None if text is None else int(text) / 1000
    except ValueError:
        return None


def _on_mains(root: Path) -> bool | None:
    """Whether the machine runs on mains power; None where the system has no power supply entry that says so."""
    found = [_text(path) for path in sorted((root / "sys/class/power_supply").glob("*/online"))]
    return any(item == "1" for item in found) if found else None


def _temperature(root: Path) -> float | None:
    """Temperature of the processor's hottest sensor, degrees Celsius."""
    zones = list((root / "sys/class/thermal").glob("thermal_zone*/temp"))
    for sensor in (root / "sys/class/hwmon").glob("hwmon*"):
        if _text(sensor / "name") in _SENSORS:
            zones += sensor.glob("temp*_input")
    found = [value for value in map(_thousandth, zones) if value is not None]
    return max(found, default=None)
