"""Exclusive measuring: one lock per machine and core, respected by everything that measures there."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nas.errors import UnavailableError

POLL_S = 0.001


@contextmanager
def measuring(cores: Iterable[int], *, timeout_s: float = 120.0, folder: Path | None = None) -> Iterator[float]:
    """Hold the cores' locks; yields the seconds waited. They are freed with the process, however it ends.

    Args:
        cores: locked in ascending order, so that no two measurements wait for each other.
        timeout_s: for all locks together.
        folder: where the lock files are; the machine's temporary folder, the same for all users.

    Raises:
        UnavailableError: a lock can't be made, or another measurement held it for ``timeout_s``.
    """
    started = time.monotonic()
    with ExitStack() as held:
        for core in sorted(set(cores)):
            path = (folder or _shared_folder()) / f"measured-nas-core-{core}.lock"
            file = _open(path)
            held.callback(os.close, file)
            _acquire(file, path, core, started + timeout_s, timeout_s)
        yield time.monotonic() - started


def _acquire(file: int, path: Path, core: int, deadline: float, timeout_s: float) -> None:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"another measurement has held core {core} for {timeout_s:g} s ({path}); "
                    "measure on another core, wait until that measurement is over, or end its process"
                ) from None
            time.sleep(POLL_S)
        except OSError as error:
            raise UnavailableError(
                f"can't lock {path}: {error.strerror}; the folder must be on a local file system"
            ) from error


def _open(path: Path) -> int:
    """The lock's file, usable by every user of the machine.

    Opened before it is created: systems that protect shared folders refuse to create over another's file.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        try:
            return os.open(path, flags)
        except FileNotFoundError:
            file = os.open(path, flags | os.O_CREAT, 0o666)
        if os.fstat(file).st_uid == os.getuid():
            os.fchmod(file, 0o666)  # what the umask took away
        return file
    except OSError as error:
        raise UnavailableError(
            f"can't open the measuring lock {path}: {error.strerror}; make it a readable file in a writable folder"
        ) from error


def _shared_folder() -> Path:
    """``/tmp``, whatever TMPDIR says: a lock in a private folder excludes nobody."""
    shared = Path("/tmp")
    return shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())
