"""Decide why a worker's process ended in the middle of a job: because of the job, its place, or an unknown reason."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from nas.memory import num_killed, total_bytes
from nas.place import FROM_OUTSIDE, OF_ITS_OWN, how_ended
from trials.executors import Event

#: If memory ran out, a job that held more than this share of the machine's memory is the cause.
MAX_MEMORY_SHARE = 0.5


@dataclass
class Watch:
    """Observations of a job's memory while it runs."""

    #: Number of processes that the system had killed for lack of memory when the job began.
    killed_before: int
    peak_bytes: int = 0

    @classmethod
    def begun(cls) -> Watch:
        """Start the watch of a job that begins now."""
        return cls(num_killed())

    def saw(self, held_bytes: int) -> None:
        """Record that the job was seen to hold this much memory."""
        self.peak_bytes = max(self.peak_bytes, held_bytes)


def death(key: str, code: int | None, watch: Watch) -> Event:
    """Return the event of a worker that ended during the job ``key``; ``code``: its exit code, None if unknown."""
    if code is None:
        return Event(key, "lost", error="its process ended for an unknown reason")
    if code >= 0:
        return Event(key, "error", error=f"ProcessExit: it ended its own process with {how_ended(code)}")
    if -code in OF_ITS_OWN:
        return Event(key, "error", error=f"ProcessCrash: its process crashed with {how_ended(code)}")
    if -code == signal.SIGKILL and num_killed() > watch.killed_before:
        return _out_of_memory(key, watch)
    if -code in FROM_OUTSIDE:
        return Event(key, "place", error=f"its process was killed from outside by {how_ended(code)}")
    return Event(key, "lost", error=f"its process ended with {how_ended(code)}")


def _out_of_memory(key: str, watch: Watch) -> Event:
    share = watch.peak_bytes / total_bytes()
    text = f"the machine's memory ran out while the job held {watch.peak_bytes / 1e6:.0f} MB, {share:.0%} of it"
    return Event(key, "error" if share > MAX_MEMORY_SHARE else "lost", error=f"OutOfMemory: {text}")
