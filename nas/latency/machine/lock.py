"""Exclusive measuring: one lock per machine and core, which every measurement on the core takes."""

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
    """Hold the locks of cores, and yield the seconds waited. The locks are freed when the process ends in any way.

    Args:
        cores: cores to lock, in ascending order, so that no two measurements wait for each other.
        timeout_s: seconds to wait for all locks together.
        folder: folder of the lock files; by default ``/tmp``, which all users share.

    Raises:
        UnavailableError: a lock file can't be made, or another measurement held a lock for ``timeout_s``.
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
    """Open a lock file, which every user of the machine can use.

    An existing file is opened without O_CREAT: systems that protect shared folders refuse it for another user's file.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        try:
            return os.open(path, flags)
        except FileNotFoundError:
            file = os.open(path, flags | os.O_CREAT, 0o666)
        if os.fstat(file).st_uid == os.getuid():
            os.fchmod(file, 0o666)  # permissions that the umask removed
        return file
    except OSError as error:
        raise UnavailableError(
            f"can't open the measuring lock {path}: {error.strerror}; make it a readable file in a writable folder"
        ) from error


def _shared_folder() -> Path:
    """``/tmp``, even where TMPDIR names a private folder, in which a lock would not exclude other users."""
    shared = Path("/tmp")
    return shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())
