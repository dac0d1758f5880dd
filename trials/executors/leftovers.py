"""Processes that a job left behind in its worker."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Set

from trials.executors.processes import below, command_line, end_below, forget

#: Parts of command lines of processes that outlive jobs on purpose: the measuring process, and helpers that
#: multiprocessing and torch's compiler start once per process.
HELPERS = (
    "nas.latency.process.worker",
    "multiprocessing.resource_tracker",
    "multiprocessing.forkserver",
    "torch._inductor",
)
#: Seconds to wait for processes to end by themselves.
PATIENCE_S = 1.0


def end_leftovers(before: Set[int]) -> str | None:
    """End all processes below this one that did not exist ``before`` the job.

    Child processes of multiprocessing, such as data loaders, are ended without being reported, because this process
    manages them.

    Returns:
        A message that lists the processes, or None if there were none.
    """
    for process in multiprocessing.active_children():
        process.kill()
    deadline = time.monotonic() + PATIENCE_S
    while left := _left(before):
        if time.monotonic() > deadline:
            text = ", ".join(f"{pid} {command_line(pid)[:60]}" for pid in left[:3])
            forget(end_below(os.getpid(), but=lambda pid: pid in before or _is_helper(pid)))
            return f"it left {len(left)} process{'es' if len(left) > 1 else ''} behind, which were killed: {text}"
        time.sleep(0.05)
    return None


def _left(before: Set[int]) -> list[int]:
    here = os.getpid()
    helpers = [pid for pid in below(here) if _is_helper(pid)]
    spared = set(before).union(helpers, *(below(pid) for pid in helpers))
    return [pid for pid in below(here) if pid not in spared]


def _is_helper(pid: int) -> bool:
    return any(text in command_line(pid) for text in HELPERS)
