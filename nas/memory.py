"""Memory of this machine: its size, and the number of processes that the system killed for lack of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
#: Files of both versions of control groups that count killed processes, and files that contain the memory limit.
_KILLS = ("memory.events", "memory.oom_control")
_LIMITS = ("memory.max", "memory.limit_in_bytes")


def total_bytes() -> int:
    """Bytes of memory of this machine, or of this process's container if that has less."""
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for folder in _folders():
        for name in _LIMITS:
            with suppress(OSError, ValueError):
                found = min(found, int((folder / name).read_text()))
    return found


def num_killed() -> int:
    """Number of processes that the system killed for lack of memory, in this container if known, else overall."""
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
    """Folders of the control groups that count this process's memory, from the innermost to the outermost."""
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            root = _GROUPS / "memory" if controllers else _GROUPS
            yield from (root / part for part in (path.lstrip("/"), *map(str, Path(path.lstrip("/")).parents)))
    yield from (_GROUPS, _GROUPS / "memory")
