"""Give a folder its name once it is complete, so that no one ever sees a part of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nas.errors import ExportError
from nas.scratch import Scratch
from trials.export.sums import write_sums


@contextmanager
def placed_whole(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes ``folder`` if the block ends without an error.

    The temporary folder is a sibling of ``folder``, on the same file system. When it is renamed, it contains
    ``SHA256SUMS``, and all its content is on the disk. A folder that has the name already is replaced as a whole. After
    an error, nothing has changed. A killed process leaves only a folder ``nas-export-…`` beside, which the next export
    to the same place removes.

    Args:
        folder: an absolute path that ``new_folder`` has checked.

    Raises:
        ExportError: a file can't be written, for example because the disk is full.
    """
    missing = [place for place in folder.parents if not place.exists()]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with Scratch("nas-export-", folder.parent) as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            yield made
            for cache in list(made.rglob("__pycache__")):  # written by Python when a script was run for a check
                shutil.rmtree(cache)
            write_sums(made)
            _flush(made)
            if folder.exists():
                folder.rename(Path(scratch) / "replaced")
            made.rename(folder)
    except OSError as error:
        raise ExportError(
            f"{folder} can't be written: {error.strerror or error}; nothing was written. Free some space, or give "
            "another folder"
        ) from error
    finally:
        for place in missing:
            with suppress(OSError):  # it is not empty if all went well
                place.rmdir()


def _flush(folder: Path) -> None:
    """Wait until all files and folders are on the disk."""
    for path in (*folder.rglob("*"), folder):
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
