"""What a machine says of its processor's speed and of who works its cores (Linux; None where it does not tell)."""

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
#: Names of the sensors that sit in a processor.
_SENSORS = ("coretemp", "k10temp", "cpu_thermal")
#: Columns of a core in /proc/stat: idle and waiting for a disk; the first eight make up all of its time.
_IDLE = (3, 4)
_COLUMNS = 8


def power_state(core: int, root: Path = ROOT) -> dict[str, Any]:
    """Governor, clock, boost, power mode, temperature: what the speed of a core depends on right now."""
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
    """Where the time of some cores went, as shares of it."""

    #: Processes other than this one, and interrupts.
    others: float
    idle: float


class CoreWatch:
    """Watches cores from its making on."""

    def __init__(self, cores: Iterable[int]) -> None:
        self._cores = tuple(cores)
        self._started = time.monotonic()
        self._own_s = _own_s()
        self._before = _core_s(self._cores)

    def shares(self, *, others_excused_s: float = 0.0) -> CoreShares | None:
        """Who had the cores since, if the system tells.

        Args:
            others_excused_s: seconds for which others may have had them, another measurement under its lock, say.
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
    """Processor seconds of this process and of those it has waited for."""
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
    """Whether a laptop is plugged in; None where there is no battery to tell by."""
    found = [_text(path) for path in sorted((root / "sys/class/power_supply").glob("*/online"))]
    return any(item == "1" for item in found) if found else None


def _temperature(root: Path) -> float | None:
    """The hottest sensor of the processor, degrees Celsius."""
    zones = list((root / "sys/class/thermal").glob("thermal_zone*/temp"))
    for sensor in (root / "sys/class/hwmon").glob("hwmon*"):
        if _text(sensor / "name") in _SENSORS:
            zones += sensor.glob("temp*_input")
    found = [value for value in map(_thousandth, zones) if value is not None]
    return max(found, default=None)
