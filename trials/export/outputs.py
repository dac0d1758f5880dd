"""Check the files and folders that commands and Python calls read and write, before the work starts."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from nas.errors import PlanError
from nas.space.name_patterns import some
from trials.export.sums import foreign_files
from trials.plans.values import short


def output_folder(path: Path) -> Path:
    """Return the absolute path of a folder, after checking that files can be written into it.

    A missing folder is created for the check and removed again.

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


def new_folder(path: Path, *, force: bool) -> Path:
    """Return the absolute path of a folder that can be written as a whole, and be renamed to this path at the end.

    The path must not exist, or must be an empty folder. With ``force``, it may also be a folder that an earlier export
    wrote, if nobody has added files to it: it is replaced as a whole.

    Raises:
        PlanError: the folder contains other files, can't be renamed, or can't be written.
    """
    folder = output_folder(path).resolve()
    if not folder.exists():
        return folder
    if folder == Path.cwd() or os.path.ismount(folder):
        what = "the working folder" if folder == Path.cwd() else "a mount point"
        raise PlanError(
            f"the folder {short(str(path))} is {what}, and the export appears by renaming a folder; give a folder in it"
        )
    if not any(folder.iterdir()):
        return folder
    foreign = foreign_files(folder)
    if not force:
        raise PlanError(
            f"the folder {short(str(path))} is not empty; give another. nas export --force (in Python, force=True) "
            "replaces an earlier export"
        )
    if foreign:
        raise PlanError(
            f"the folder {short(str(path))} contains files that no export wrote: {some(foreign)}. --force replaces an "
            "earlier export as a whole; move these files away, or give another folder"
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
