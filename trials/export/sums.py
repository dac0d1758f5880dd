"""``SHA256SUMS``: the hash of every file of an exported folder, in the format of ``sha256sum -c``."""

from __future__ import annotations

from pathlib import Path

from nas.errors import ExportError
from nas.space.name_patterns import some
from trials.export.scripts.verification.sums import SUMS, is_inside, listed
from trials.store.artifacts import file_sha256


def write_sums(folder: Path) -> None:
    """Write the hashes of all files in ``folder`` and its subfolders, sorted by name."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{file_sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in paths]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def sizes(folder: Path) -> dict[str, int]:
    """Return the size of each file in ``folder`` and its subfolders, in bytes."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths}


def foreign_files(folder: Path) -> list[str]:
    """Names of the files in a folder that no export wrote; all files, if the folder has no ``SHA256SUMS``."""
    ours = {SUMS, *_listed(folder)}
    found = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if not _is_folder(path))
    return [name for name in found if name not in ours and not _is_cache(name)]


def check_sums(folder: Path) -> list[str]:
    """Return the files that ``SHA256SUMS`` lists, after comparing each with its hash.

    Raises:
        ExportError: a file is missing, was changed or leaves the folder, or the folder contains other files.
    """
    try:
        files = listed(folder)
    except (OSError, ValueError) as error:
        raise ExportError(f"{folder}: {SUMS} can't be read: {error}; export the network again") from None
    for name, sha256 in files:
        path = folder / name
        if not is_inside(name) or not path.resolve().is_relative_to(folder.resolve()):
            raise ExportError(f"{folder}: {SUMS} lists {name!r}, which leaves the folder; export the network again")
        if not path.is_file():
            raise ExportError(f"{folder}: {name} is missing; export the network again")
        if file_sha256(path) != sha256:
            raise ExportError(f"{folder}: {name} was changed after the export; export the network again")
    if foreign := foreign_files(folder):
        raise ExportError(f"{folder} contains files that no export wrote: {some(foreign)}; move them away")
    return [name for name, _ in files]


def _listed(folder: Path) -> list[str]:
    try:
        return [name for name, _ in listed(folder)]
    except (OSError, ValueError):
        return []


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_cache(name: str) -> bool:
    """Whether Python wrote the file when it ran one of the scripts."""
    return "__pycache__" in name.split("/")
