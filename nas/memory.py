"""What the system tells about memory: how much there is, and whether it killed a process for lack of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
#: Key and file of a control group's count of killed processes, of both versions of control groups.
_KILLS = ("memory.events", "memory.oom_control")
_LIMITS = ("memory.max", "memory.limit_in_bytes")


def total_bytes() -> int:
    """Memory of this machine, or of the container that this process is in if that is less."""
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for folder in _folders():
        for name in _LIMITS:
            with suppress(OSError, ValueError):
                found = min(found, int((folder / name).read_text()))
    return found


def num_killed() -> int:
    """Processes that the system killed so far because memory ran out: of the container if that is told, else all."""
    for folder in _folders():
        for name in _KILLS:
            with suppress(OSError):
                counts = dict(line.split()[:2] for line in (folder / name).read_text().splitlines())
                if "oom_kill" in counts:
                    return int(counts["oom_kill"])
    with suppress(OSError):
        lines = Path("/proc/vmstat").read_text().splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
    return 0


def _folders() -> Iterator[Path]:
    """Of the control groups that this process's memory is counted in, the innermost first."""
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            root = _GROUPS / "memory" if controllers else _GROUPS
            yield from (root / part for part in (path.lstrip("/"), *map(str, Path(path.lstrip("/")).parents)))
    yield from (_GROUPS, _GROUPS / "memory")
