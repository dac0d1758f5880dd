"""The processes of a study, found by what they are."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path


def descendants(root: int) -> list[int]:
    """Living processes below one, itself not among them."""
    parents = {pid: parent for pid, (state, parent) in _table().items() if state not in "ZX"}
    found = {root}
    while new := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= new
    return sorted(found - {root})


def below(root: int, *words: str) -> list[int]:
    """Processes below one in whose command line one of the words stands."""
    return [pid for pid in descendants(root) if any(word in _command(pid) for word in words)]


def workers(root: int) -> list[int]:
    """Processes that run jobs: forks of a template, or what stands in for one below Ray's workers."""
    templates = set(below(root, "trials.executors.template"))
    table = _table()
    return [pid for pid in templates if table.get(pid, ("", 0))[1] in templates]


def kill(pids: list[int]) -> None:
    """End processes as hard as can be."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def of_folder(folder: Path) -> list[int]:
    """Living processes whose temporary folder is this one."""
    setting = f"TMPDIR={folder}".encode()
    found = []
    for pid, (state, _) in _table().items():
        with suppress(OSError):
            if state not in "ZX" and setting in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(pid)
    return found


def _table() -> dict[int, tuple[str, int]]:
    """Process → its state and parent."""
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
