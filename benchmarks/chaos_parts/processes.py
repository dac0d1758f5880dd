"""Find the processes of a study, and kill them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def descendants(root: int) -> list[int]:
    """Ids of the living descendants of a process."""
    parents = {pid: parent for pid, (state, parent) in _table().items() if state not in "ZX"}
    found = {root}
    while new := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= new
    return sorted(found - {root})


def below(root: int, *words: str) -> list[int]:
    """Ids of descendants whose command line contains one of the words."""
    return [pid for pid in descendants(root) if any(word in _command(pid) for word in words)]


def workers(root: int) -> list[int]:
    """Ids of descendants that run jobs: the forks of a template process."""
    templates = set(below(root, "trials.executors.template"))
    table = _table()
    return [pid for pid in templates if table.get(pid, ("", 0))[1] in templates]


def kill(pids: Iterable[int]) -> None:
    """Kill processes with SIGKILL."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def of_folder(folder: Path) -> list[int]:
    """Ids of living processes whose ``TMPDIR`` is this folder."""
    setting = f"TMPDIR={folder}".encode()
    found = []
    for pid, (state, _) in _table().items():
        with suppress(OSError):
            if state not in "ZX" and setting in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(pid)
    return found


def _table() -> dict[int, tuple[str, int]]:
    """Process id → state and id of the parent."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = entry.read_text().rpartition(")")[2].split()[:2]
            found[int(entry.parent.name)] = (state, int(parent))
    return found


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""
