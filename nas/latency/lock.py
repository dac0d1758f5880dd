"""Exclusive measuring: one lock per machine and core, respected by studies, `nas measure` and agents alike."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nas.errors import MeasureError


@contextmanager
def measuring(core: int, timeout_s: float = 120.0) -> Iterator[float]:
    """Hold the core's lock; yields the seconds waited. The system frees it with the process, however that ends.

    Raises:
        MeasureError: the lock can't be made, or another measurement held it for ``timeout_s``.
    """
    path = Path(tempfile.gettempdir()) / f"measured-nas-core-{core}.lock"
    started = time.monotonic()
    file = _open(path)
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() - started > timeout_s:
                    raise MeasureError(
                        f"another measurement has held core {core} for {timeout_s:.0f} s ({path}); "
                        "measure on another core, or end it"
                    ) from None
                time.sleep(0.001)
        yield time.monotonic() - started
    finally:
        os.close(file)


def _open(path: Path) -> int:
    """The lock's file, usable by every user of the machine."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise MeasureError(f"can't open the measuring lock {path}: {error.strerror}") from error
    if os.fstat(file).st_uid == os.getuid():
        os.fchmod(file, 0o666)
    return file
