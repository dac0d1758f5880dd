"""Names of the other processes that use a core (Linux; none are found on other systems)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
#: Fields of /proc/<pid>/stat, counted from the field after the name: time in user and kernel mode, and the core.
_TIMES, _CORE = (11, 12), 36


class Used(NamedTuple):
    """Processor seconds that a process used so far, the core it ran on last, and its name."""

    seconds: float
    core: int
    name: str


def processes() -> dict[int, Used]:
    """Process id → processor use, of every process except this one."""
    tick_s = 1 / os.sysconf("SC_CLK_TCK")
    found = {}
    for folder in _PROC.glob("[0-9]*"):
        try:
            name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
            fields = rest.split()
            used_s = sum(int(fields[place]) for place in _TIMES) * tick_s
            found[int(folder.name)] = Used(used_s, int(fields[_CORE]), name)
        except (OSError, ValueError, IndexError):  # the process has ended meanwhile
            continue
    found.pop(os.getpid(), None)
    return found


def busiest(before: Mapping[int, Used], after: Mapping[int, Used], cores: Iterable[int], least_s: float) -> list[str]:
    """Processes that used at least ``least_s`` processor seconds in between and ran last on ``cores``, busiest first.

    Args:
        before: ``processes()`` at the start.
        after: ``processes()`` at the end.
        cores: the cores in question.
        least_s: smallest processor time that counts, seconds.
    """
    wanted = set(cores)
    spent = {
        pid: used.seconds - before[pid].seconds for pid, used in after.items() if pid in before and used.core in wanted
    }
    ranked = sorted((pid for pid in spent if spent[pid] >= least_s), key=lambda pid: -spent[pid])
    return [f"{after[pid].name} (process {pid})" for pid in ranked]
