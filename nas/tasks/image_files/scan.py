"""Decodes every image of a folder once, before a study spends time; results are cached for later processes."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nas.errors import TaskError
from nas.tasks.image_files.reading import Note, quiet, read_image, shown
from nas.tasks.image_files.tree import ImageFile

_log = logging.getLogger(__name__)
#: Version of the rules in ``reading``; increase it when they change, so that older results are not used.
_RULES = 1
#: Number of files above which decoding is announced in the log.
_MANY = 2000


@dataclass(frozen=True)
class Checked:
    """The result of decoding one file.

    Attributes:
        size_bytes, modified_ns: size and time of the decoded file; a file with other values must be decoded again.
        content: hash of its bytes.
        width, height: size of the image in pixels.
        notes: remarks about the file.
        fault: the reason why the file can't be used; empty if it can.
        peak: largest value of a file with more than 8 bits per channel; None for other files.
    """

    size_bytes: int
    modified_ns: int
    content: str
    width: int = 0
    height: int = 0
    notes: tuple[Note, ...] = ()
    fault: str = ""
    peak: float | None = None


def scan(root: Path, files: Sequence[ImageFile], white: float | None, cache: Path | None) -> dict[Path, Checked]:
    """Path → result of decoding; unchanged files with a result in the folder ``cache`` are not decoded again."""
    kept = None if cache is None else cache / f"images-{_key(root, white)}.json"
    known = _read(kept)
    found = {file.path: known.get(_name(file.path)) for file in files}
    new = [file for file in files if not _is_current(file, found[file.path])]
    if len(new) > _MANY:
        _log.warning("%s: decoding %d images once to find damaged ones", shown(root), len(new))
    with quiet(), ThreadPoolExecutor(max(1, len(os.sched_getaffinity(0)))) as pool:
        for file, checked in zip(new, pool.map(lambda file: _check(root, file, white), new), strict=True):
            found[file.path] = checked
    whole = {path: checked for path, checked in found.items() if checked is not None}
    if new and kept is not None:
        _write(kept, {_name(path): asdict(checked) for path, checked in whole.items()})
    return whole


def _check(root: Path, file: ImageFile, white: float | None) -> Checked:
    path = root / file.path
    try:
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()[:32]
    except OSError as error:
        return Checked(file.size_bytes, file.modified_ns, "", fault=f"it can't be opened ({error.strerror})")
    about = (file.size_bytes, file.modified_ns, digest)
    try:
        decoded = read_image(path, white)
    except TaskError as error:
        return Checked(*about, fault="it is empty" if file.size_bytes == 0 else str(error))
    return Checked(*about, *decoded.image.size, decoded.notes, peak=decoded.peak)


def _is_current(file: ImageFile, checked: Checked | None) -> bool:
    return checked is not None and (checked.size_bytes, checked.modified_ns) == (file.size_bytes, file.modified_ns)


def _key(root: Path, white: float | None) -> str:
    return hashlib.sha256(os.fsencode(f"{_RULES}\0{root.resolve()}\0{white}")).hexdigest()[:16]


def _name(path: Path) -> str:
    return os.fsencode(path).hex()


def _read(path: Path | None) -> dict[str, Checked]:
    if path is None or not path.exists():
        return {}
    try:
        return {name: _checked(values) for name, values in json.loads(path.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        _log.warning("%s can't be read (%s); the images are decoded again", path, error)
        return {}


def _checked(values: Mapping[str, Any]) -> Checked:
    return Checked(**{**values, "notes": tuple(Note(note) for note in values["notes"])})


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a cache file atomically; if that fails, log a warning and do without it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".partial", delete=False) as file:
            json.dump(content, file)
        os.replace(file.name, path)
    except OSError as error:
        _log.warning("%s can't be written (%s); images will be decoded again next time", path, error)
