"""List the descendants of a process, sum their memory, and kill them."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_PR_SET_CHILD_SUBREAPER = 36
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def adopt_orphans() -> None:
    """Make descendants of this process its children when their parent ends, even those in other sessions."""
    with suppress(AttributeError, OSError):  # Linux only
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> Mapping[int, list[int]]:
    """Return every process of this machine that has living children → these children."""
    found: dict[int, list[int]] = defaultdict(list)
    for entry in _PROC.glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            state, parent = entry.read_text().rpartition(")")[2].split()[:2]
            if state not in "ZX":
                found[int(parent)].append(int(entry.parent.name))
    return found


def below(pid: int, known: Mapping[int, list[int]] | None = None) -> list[int]:
    """Return the living descendants of ``pid``, parents first; ``known``: a recent result of ``children()``."""
    known = children() if known is None else known
    found = [pid]
    for item in found:
        found += known.get(item, ())
    return found[1:]


def command_line(pid: int) -> str:
    """Return the command line of a process; empty if the process has ended."""
    with suppress(OSError):
        return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def memory_bytes(pid: int, known: Mapping[int, list[int]], *, more_than: float = 0) -> int:
    """Return the memory of a process and all its descendants; ``known``: see ``below``.

    A quick sum counts a page that several processes share once per process. Only if that sum exceeds ``more_than``,
    each process's proportional share is summed instead, if the system provides it.
    """
    pids = [pid, *below(pid, known)]
    quick = _sum(_resident_bytes, pids)
    return min(quick, _sum(_proportional_bytes, pids)) if quick > more_than else quick


def end(pids: Iterable[int]) -> None:
    """Kill processes; processes that have ended are ignored."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def end_below(pid: int, *, but: Callable[[int], bool] = lambda pid: False, patience_s: float = 5.0) -> set[int]:
    """Kill the descendants of ``pid`` until none is left, for at most ``patience_s``; return the killed processes.

    Processes for which ``but`` is true are spared, together with their descendants.
    """
    ended: set[int] = set()
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        spared = {item for keep in filter(but, below(pid)) for item in (keep, *below(keep))}
        left = [item for item in below(pid) if item not in spared]
        if not left:
            break
        end(left)
        ended.update(left)
        time.sleep(0.01)
    return ended


def forget(pids: Iterable[int]) -> None:
    """Reap the children of this process among ``pids`` that have ended."""
    for pid in pids:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _sum(bytes_of: Callable[[int], int], pids: Iterable[int]) -> int:
    total = 0
    for pid in pids:
        with suppress(OSError, ValueError, IndexError):
            total += bytes_of(pid)
    return total


def _resident_bytes(pid: int) -> int:
    return int((_PROC / str(pid) / "statm").read_text().split()[1]) * _PAGE_BYTES


def _proportional_bytes(pid: int) -> int:
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return _resident_bytes(pid)
