"""Peak memory of a piece of work within a long-lived process."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


@dataclass
class Growth:
    """Bytes by which the peak of resident memory rose above its start; None where the system does not report it."""

    growth_bytes: int | None = None


@contextmanager
def peak_growth() -> Iterator[Growth]:
    """Record the growth of peak resident memory while the block runs (Linux; None on other systems)."""
    growth = Growth()
    start = _restart()
    yield growth
    if start is not None:
        growth.growth_bytes = max(0, _resident("VmHWM") - start)


def _restart() -> int | None:
    """Reset the peak and return the bytes that are resident now; None where that is not possible."""
    try:
        ctypes.CDLL(None).malloc_trim(0)  # memory that earlier work freed but kept would hide new growth
        _CLEAR.write_text(_RESET_PEAK)
        return _resident("VmRSS")
    except (OSError, AttributeError, KeyError):
        return None


def _resident(field: str) -> int:
    values = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(values[field].split()[0]) * 1024
