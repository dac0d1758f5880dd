"""Processes that run something for a database, named ``host:pid:start``."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def process_of(owner: str) -> int | None:
    """The number of a process of this machine; None if it is on another one."""
    host, _, process = owner.partition(":")
    return int(process.partition(":")[0]) if host == socket.gethostname() else None


def is_gone(owner: str) -> bool:
    """Whether the process ``host:pid:start`` has ended; False if it is on another machine."""
    host, _, process = owner.partition(":")
    return host == socket.gethostname() and not _runs(*process.partition(":")[::2])


def _runs(pid: str, start: str) -> bool:
    """Whether process ``pid`` lives and was started at ``start`` (field 22 of /proc/PID/stat); True if unknown."""
    try:
        os.kill(int(pid), 0)
        if not Path("/proc/self/stat").exists():
            return True
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (ProcessLookupError, FileNotFoundError):
        return False
    except (PermissionError, ValueError):
        return True
    state, found = fields[0], fields[19]
    return found == start and state != "Z"
