"""Time for which a processor quota stopped this process's control group (Linux, both versions of control groups)."""

from __future__ import annotations

from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
#: Key in cpu.stat → its unit in seconds.
_UNITS = {"throttled_usec": 1e-6, "throttled_time": 1e-9}


def throttled_s(own: Path = _OWN, groups: Path = _GROUPS) -> float:
    """Seconds so far for which the quota stopped this process's group; 0 where there is no visible quota."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return 0.0
    found = 0.0
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        for folder in (groups, groups / "cpu", groups / "unified"):
            found = max(found, _stat_s(folder / path.lstrip("/") / "cpu.stat"))
    return found


def _stat_s(path: Path) -> float:
    try:
        pairs = [line.split() for line in path.read_text().splitlines()]
        return max((int(value) * _UNITS[key] for key, value in pairs if key in _UNITS), default=0.0)
    except (OSError, ValueError):
        return 0.0
