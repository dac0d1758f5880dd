"""Check the files and folders that commands and Python calls read and write, before the work starts."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from nas.errors import PlanError
from trials.plans.values import short


def output_folder(path: Path) -> Path:
    """Return the absolute path of a folder, after checking that files can be written into it.

    A folder that does not exist is not created.

    Raises:
        PlanError: a file has this name, the name is invalid, or there is no permission or space.
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
    """Return the absolute path of an empty or missing folder, after checking that files can be written into it.

    Raises:
        PlanError: the folder is not empty, or can't be written into.
    """
    folder = output_folder(path)
    if folder.exists() and any(folder.iterdir()):
        raise PlanError(
            f"the folder {short(str(path))} is not empty; give another, or replace files in it with --force "
            "(in Python, force=True)"
        )
    return folder


def output_file(path: Path) -> Path:
    """Return the absolute path of a file, after checking that it can be written; its folder must exist.

    Raises:
        PlanError: the folder does not exist, a folder has this name, or there is no permission or space.
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
    """Return the absolute path of a file, after checking that it can be read.

    Raises:
        PlanError: the file does not exist or can't be read.
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
