"""Copy an exported folder to a URL: as a whole where folders can be renamed, else with ``SHA256SUMS`` at the end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from nas.errors import ExportError, PlanError
from nas.foreign import hide_passwords
from nas.scratch import Scratch
from trials.export.layouts import find_layout
from trials.export.outputs import new_folder
from trials.export.placing import placed_whole
from trials.export.scripts.verification.sums import SUMS
from trials.export.sums import check_sums, write_sums
from trials.export.verification.recorded import UNVERIFIED


@dataclass(frozen=True)
class Pushed:
    """A folder that was copied."""

    url: str
    files: int
    size_bytes: int
    #: True if the copy was renamed into place as a whole; false if it was uploaded file by file, ``SHA256SUMS`` last.
    whole: bool


def push(folder: Path, url: str, *, layout: str | None = None, unverified: bool = False) -> Pushed:
    """Check an exported folder and copy it to a new place.

    Args:
        folder: a folder that an export wrote.
        url: a path, or a URL of any file system that fsspec knows.
        layout: name of a layout in which the folder is written; as it is by default.
        unverified: copy the folder even if the export marked it as ``UNVERIFIED``.

    Raises:
        PlanError: there is no such folder, it is not verified, or the place is not empty or can't be written.
        ExportError: a file is missing or was changed, or writing failed; what was written is removed.
        UnknownNameError: there is no such layout.
    """
    folder = folder.expanduser()
    write_layout = find_layout(layout) if layout else None
    if not (folder / SUMS).is_file():
        raise PlanError(f"{folder} has no {SUMS}, so no export wrote it; give a folder that nas export wrote")
    names = check_sums(folder)
    if (folder / UNVERIFIED).exists() and not unverified:
        raise PlanError(
            f"{folder} failed the verification of its export: {(folder / UNVERIFIED).read_text().strip()}; export it "
            "again, or pass --unverified"
        )
    if write_layout is None:
        return _send(folder, names, url)
    with Scratch("nas-layout-") as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        write_layout(folder, made)
        write_sums(made)
        return _send(made, check_sums(made), url)


def _send(folder: Path, names: list[str], url: str) -> Pushed:
    filesystem, place = _opened(url)
    if isinstance(filesystem, LocalFileSystem):
        if Path(place).is_dir() and any(Path(place).iterdir()):
            raise _not_empty(url)
        with placed_whole(new_folder(Path(place), force=False)) as made:
            for name in names:
                (made / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / name, made / name)
        return _pushed(folder, names, url, whole=True)
    with _explained(url):
        if filesystem.exists(place) and not all(map(_is_of_git, filesystem.find(place))):
            raise _not_empty(url)
        _upload(filesystem, place.rstrip("/"), folder, names)
    return _pushed(folder, names, url, whole=False)


def _not_empty(url: str) -> PlanError:
    return PlanError(
        f"{hide_passwords(url)} is not empty, and nas push replaces nothing; give a new place, or empty it"
    )


def _is_of_git(path: str) -> bool:
    """Whether the file may also be in a new, empty git repository, as ``.gitattributes`` is."""
    return path.rpartition("/")[2].startswith(".git")


def _upload(filesystem: Any, place: str, folder: Path, names: list[str]) -> None:
    """Upload all files, ``SHA256SUMS`` at the end; after an error, remove what was uploaded."""
    sent: list[str] = []
    try:
        for name in (*names, SUMS):
            there = f"{place}/{name}"
            sent.append(there)
            filesystem.makedirs(there.rpartition("/")[0], exist_ok=True)
            filesystem.put_file(str(folder / name), there)
            if filesystem.info(there)["size"] != (folder / name).stat().st_size:
                raise OSError(f"{there} has another size than the file that was sent")
    except BaseException:
        for there in sent:
            with suppress(Exception):  # the first error is the one to report
                filesystem.rm_file(there)
        raise


def _opened(url: str) -> tuple[Any, str]:
    with _explained(url):
        filesystem, place = fsspec.url_to_fs(url)
    if "memory" in (filesystem.protocol, *filesystem.protocol):
        raise PlanError(f"{url} is lost when this command ends; give a folder, or a URL such as s3://bucket/folder")
    return filesystem, place


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Errors of a file system, which may be of any kind, raised as ours."""
    shown = hide_passwords(url)
    try:
        yield
    except PlanError:
        raise
    except ImportError as error:
        raise PlanError(f"{shown} can't be reached: {error}") from error  # fsspec names the package to install
    except NotImplementedError as error:
        raise PlanError(f"{shown} can only be read; give a URL of a file system that can be written") from error
    except ValueError as error:
        raise PlanError(f"{shown}: {error}; write a folder, or a URL such as s3://bucket/folder") from error
    except Exception as error:
        raise ExportError(f"{shown} can't be written: {error}; a folder without {SUMS} there is incomplete") from error


def _pushed(folder: Path, names: list[str], url: str, *, whole: bool) -> Pushed:
    sizes = [(folder / name).stat().st_size for name in (*names, SUMS)]
    return Pushed(hide_passwords(url), len(sizes), sum(sizes), whole)


def describe(pushed: Pushed) -> str:
    """Return what was done, in one sentence."""
    how = "" if pushed.whole else f"; {SUMS} was written last: without it, a copy is incomplete"
    files = f"{pushed.files} file{'s' * (pushed.files != 1)}"
    return f"wrote {files}, {pushed.size_bytes / 1e6:.1f} MB, to {pushed.url}{how}"
