"""Peak memory of a piece of work within a long-lived process."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


@dataclass
class Growth:
    """How far the peak of resident memory rose above its start; None where the system does not tell."""

    growth_bytes: int | None = None


@contextmanager
def peak_growth() -> Iterator[Growth]:
    """Watch the peak of resident memory while the block runs (Linux; elsewhere nothing is told)."""
    growth = Growth()
    try:
        ctypes.CDLL(None).malloc_trim(0)  # freed memory of earlier work would hide new work's
        _CLEAR.write_text("5")  # resets the peak
        start = _resident("VmRSS")
    except (OSError, AttributeError, KeyError):
        yield growth
        return
    yield growth
    growth.growth_bytes = max(0, _resident("VmHWM") - start)


def _resident(field: str) -> int:
    values = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(values[field].split()[0]) * 1024
