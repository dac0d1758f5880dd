"""Where commands and Python calls write, and what they read: checked before the work whose result goes there."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from nas.errors import PlanError
from trials.plans.values import short


def output_folder(path: Path) -> Path:
    """A folder that files can be written into, absolute; one that is not there yet is left to be made.

    Raises:
        PlanError: it can't be: a file is in the way, no permission, no space, a name no folder can have.
    """
    try:
        folder = Path(os.path.abspath(path.expanduser()))
        missing = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _try_writing(folder)
        finally:
            for place in missing:
                with suppress(OSError, ValueError):
                    place.rmdir()
    except (OSError, ValueError, RuntimeError) as error:
        raise _refused("the folder", path, error) from None
    return folder


def empty_folder(path: Path) -> Path:
    """A folder that files can be written into and that holds none, absolute; it need not be there yet.

    Raises:
        PlanError: it holds something, or it can't be written into.
    """
    folder = output_folder(path)
    if folder.exists() and any(folder.iterdir()):
        raise PlanError(
            f"the folder {short(str(path))} is not empty; give another, or replace files in it with --force "
            "(in Python, force=True)"
        )
    return folder


def output_file(path: Path) -> Path:
    """A file that can be written into a folder that is there, absolute.

    Raises:
        PlanError: it can't be: no such folder, a folder of that name, no permission, no space.
    """
    try:
        file = Path(os.path.abspath(path.expanduser()))
        if os.path.isdir(file):
            raise PlanError(f"{path} is a folder; give the name of a file")
        if not os.path.lexists(file):
            file.touch()
            file.unlink()
        elif not os.access(file, os.W_OK):
            raise PermissionError("it may not be written")
        _try_writing(file.parent)
    except (OSError, ValueError, RuntimeError) as error:
        raise _refused("the file", path, error) from None
    return file


def input_file(path: Path, what: str) -> Path:
    """A file that can be read, absolute.

    Raises:
        PlanError: it can't be.
    """
    try:
        file = Path(os.path.abspath(path.expanduser()))
        with file.open("rb"):
            return file
    except FileNotFoundError:
        raise PlanError(f"{what}: there is no file {path}") from None
    except (OSError, ValueError, RuntimeError) as error:
        raise PlanError(f"{what}: {short(str(path))} can't be read: {_reason(error)}") from None


def _try_writing(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"0" * 4096)
        file.flush()


def _refused(what: str, path: Path, error: Exception) -> PlanError:
    if isinstance(error, PlanError):
        return error
    return PlanError(f"{what} {short(str(path))} can't be written: {_reason(error)}; give another")


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
