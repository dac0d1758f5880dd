"""Which processes work a core, by name (Linux; nobody where the system does not tell)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
#: Fields of /proc/<pid>/stat, counted from the one after the name: time in user and kernel mode, and the core.
_TIMES, _CORE = (11, 12), 36


class Used(NamedTuple):
    """Processor seconds of a process so far, the core it was on last, and its name."""

    seconds: float
    core: int
    name: str


def processes() -> dict[int, Used]:
    """Every process but this one."""
    tick_s = 1 / os.sysconf("SC_CLK_TCK")
    found = {}
    for folder in _PROC.glob("[0-9]*"):
        try:
            name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
            fields = rest.split()
            used_s = sum(int(fields[place]) for place in _TIMES) * tick_s
            found[int(folder.name)] = Used(used_s, int(fields[_CORE]), name)
        except (OSError, ValueError, IndexError):  # it ended meanwhile
            continue
    found.pop(os.getpid(), None)
    return found


def busiest(before: Mapping[int, Used], after: Mapping[int, Used], cores: Iterable[int], least_s: float) -> list[str]:
    """Processes that used at least ``least_s`` in between and were last seen on the cores, the busiest first."""
    wanted = set(cores)
    spent = {
        pid: used.seconds - before[pid].seconds for pid, used in after.items() if pid in before and used.core in wanted
    }
    ranked = sorted((pid for pid in spent if spent[pid] >= least_s), key=lambda pid: -spent[pid])
    return [f"{after[pid].name} (process {pid})" for pid in ranked]
