"""Give a folder its name once it is complete, so that no one ever sees a part of it."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nas.errors import ExportError
from nas.scratch import Scratch
from trials.export.outputs import new_folder
from trials.export.sums import write_sums

#: Errors of writing a file that mean that there is no space for it, as numbers and as texts of libraries.
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_SPACE_TEXT = re.compile("|".join(os.strerror(number) for number in sorted(_NO_SPACE)))
#: Space below which a disk counts as full: some libraries say nothing about the cause, or cut a file off in silence.
_ROOM_BYTES = 64 * 1024


@contextmanager
def placed_whole(folder: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary folder that becomes ``folder`` if the block ends without an error.

    The temporary folder is a sibling of ``folder``, on the same file system. When it is renamed, it contains
    ``SHA256SUMS``, and all its content is on the disk. With ``force``, it replaces an earlier export as a whole. After
    an error, nothing has changed. A killed process leaves a folder ``nas-export-…`` next to it, which the next export
    to the same place removes.

    Args:
        folder: an absolute path that ``new_folder`` has checked.
        force: see ``new_folder``, which checks again at the end of the block.

    Raises:
        PlanError: files have appeared in ``folder`` meanwhile.
        ExportError: the folder can't be written, for example because the disk is full. Other errors of the block are
            raised as they are.
    """
    missing = [place for place in folder.parents if not place.exists()]
    try:
        with _explained(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            scratch = Scratch("nas-export-", folder.parent)
        with scratch:
            made = Path(scratch.name) / "made"
            with _explained(folder):
                made.mkdir()
            try:
                yield made
            except Exception as error:
                if reason := _lack_of_space(error, made):
                    raise _refused(folder, reason) from error
                raise
            with _explained(folder):
                for cache in list(made.rglob("__pycache__")):  # written by Python when a script was run for a check
                    shutil.rmtree(cache)
                write_sums(made)
                _set_modes(made)
                _flush(made)
                _rename(made, new_folder(folder, force=force))
    finally:
        for place in missing:
            with suppress(OSError):  # it is not empty if all went well
                place.rmdir()


def _rename(made: Path, folder: Path) -> None:
    """Give a folder its name; what has the name already comes back after an error."""
    replaced = made.with_name("replaced")
    if not folder.exists() or not any(folder.iterdir()):
        made.rename(folder)  # fails if a file has appeared
        return
    folder.rename(replaced)
    try:
        made.rename(folder)
    except BaseException:
        replaced.rename(folder)
        raise


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _refused(folder, error.strerror or str(error)) from error


def _lack_of_space(error: Exception, folder: Path) -> str:
    """Say in words that an error was caused by a lack of space for the files of a folder; empty if it was not."""
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return error.strerror or str(error)
    if found := _NO_SPACE_TEXT.search(str(error)):
        return found.group()
    return os.strerror(errno.ENOSPC) if shutil.disk_usage(folder).free < _ROOM_BYTES else ""


def _refused(folder: Path, reason: str) -> ExportError:
    return ExportError(
        f"{folder} can't be written: {reason}; nothing was written. Free some space, or give another folder"
    )


def _set_modes(folder: Path) -> None:
    """Give all content the permissions of the folder, which follow the umask; some libraries write private files."""
    allowed = folder.stat().st_mode & 0o777
    for path in folder.rglob("*"):
        path.chmod(allowed if path.is_dir() else allowed & 0o666)


def _flush(folder: Path) -> None:
    """Wait until all files and folders are on the disk."""
    for path in (*folder.rglob("*"), folder):
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
