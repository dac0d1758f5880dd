"""Temporary folders with a mark of their owner; folders of killed processes are removed when the next one is made."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType

try:
    import fcntl
except ImportError:  # Windows, where old folders are not removed
    fcntl = None  # type: ignore[assignment]

PREFIX = "nas-"
#: File in a folder that is locked as long as its owner lives; works across containers, unlike process ids.
_MARK = ".owner"


class Scratch:
    """A temporary folder of this process, removed with ``close``; ``with Scratch("nas-x-") as folder`` gives its path.

    Attributes:
        name: its path.
    """

    def __init__(self, prefix: str, within: Path | None = None) -> None:
        """Remove folders of killed processes, and make a folder whose name begins with ``prefix``.

        Args:
            prefix: begins with ``nas-``.
            within: the folder to make it in; the folder for temporary files by default.
        """
        sweep(within)
        self.name = tempfile.mkdtemp(prefix=prefix, dir=within)
        self._mark: int | None = _marked(self.name)

    def __enter__(self) -> str:
        return self.name

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the folder as far as possible; may be called twice."""
        shutil.rmtree(self.name, ignore_errors=True)
        mark, self._mark = self._mark, None
        if mark is not None:
            os.close(mark)


def sweep(within: Path | None = None) -> int:
    """Remove marked folders whose owner is dead, and return their number; folders without a mark are left alone.

    Args:
        within: the folder that contains them; the folder for temporary files by default.
    """
    if fcntl is None:
        return 0
    swept = 0
    for mark in (within or Path(tempfile.gettempdir())).glob(f"{PREFIX}*/{_MARK}"):
        with suppress(OSError):
            file = os.open(mark, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Under another name, because a process of the dead owner may still make files in it.
                old = mark.parent.rename(f"{mark.parent}.old")
                shutil.rmtree(old, ignore_errors=True)
                swept += not old.exists()
            finally:
                os.close(file)
    return swept


def _marked(folder: str) -> int | None:
    """Mark a folder as owned by this process; the mark is locked before it gets its name, so no sweep removes it."""
    if fcntl is None:
        return None
    file = os.open(os.path.join(folder, f"{_MARK}.new"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(os.path.join(folder, f"{_MARK}.new"), os.path.join(folder, _MARK))
    except OSError:  # a file system without locks can't show whether the owner lives
        os.close(file)
        return None
    return file
