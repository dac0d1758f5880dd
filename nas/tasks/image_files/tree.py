"""Lists all files and folders below an image folder, except hidden names and links to folders above them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nas.tasks.image_files.reading import FOREIGN, SUFFIXES

#: Folders made by operating systems and programs, which are left out like names that begin with a dot.
_LEFT_BEHIND = {
    "__macosx",
    "@eadir",
    "$recycle.bin",
    "system volume information",
    "lost+found",
    "__pycache__",
    "lost.dir",
}

Identity = tuple[int, int]


@dataclass(frozen=True)
class ImageFile:
    """A file with the suffix of an image.

    Attributes:
        path: path relative to the image folder.
        identity: device and inode, which are equal for all links to one file.
        size_bytes, modified_ns: size and time of the last change.
    """

    path: Path
    identity: Identity
    size_bytes: int
    modified_ns: int


@dataclass
class Tree:
    """Files and folders below a folder; all paths are relative to it."""

    root: Path
    files: list[ImageFile] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    #: Path that is left out without loss of data → the reason.
    left_out: dict[Path, str] = field(default_factory=dict)
    #: Path that should be read but can't be → the reason.
    faults: dict[Path, str] = field(default_factory=dict)


def walk(root: Path) -> Tree:
    """List everything below ``root``, also through links to folders; files are sorted by folder, then by name."""
    tree = Tree(root)
    above = [_identity(os.stat(parent)) for parent in (root.resolve(), *root.resolve().parents)]
    _walk(tree, Path(), above)
    tree.files.sort(key=lambda file: (str(root / file.path.parent), file.path.name))
    return tree


def _walk(tree: Tree, folder: Path, above: list[Identity]) -> None:
    for path in _entries(tree, folder):
        if path.name.startswith(".") or path.name.lower() in _LEFT_BEHIND:
            tree.left_out[path] = "a hidden name"
            continue
        try:
            status = os.stat(tree.root / path)
        except OSError as error:
            _broken(tree, path, error)
            continue
        if not stat.S_ISDIR(status.st_mode):
            _add_file(tree, path, status)
        elif _identity(status) in above:
            tree.left_out[path] = "a link to a folder above it"
        else:
            tree.folders.append(path)
            _walk(tree, path, [*above, _identity(status)])


def _entries(tree: Tree, folder: Path) -> Iterator[Path]:
    try:
        names = sorted(os.listdir(tree.root / folder))
    except OSError as error:
        tree.faults[folder] = f"the folder can't be opened ({error.strerror})"
        return
    yield from (folder / name for name in names)


def _broken(tree: Tree, path: Path, error: OSError) -> None:
    link = (tree.root / path).is_symlink()
    why = "a broken link" if link else f"it can't be accessed ({error.strerror})"
    if path.suffix.lower() in (*SUFFIXES, *FOREIGN) or not link:
        tree.faults[path] = why
    else:
        tree.left_out[path] = why


def _add_file(tree: Tree, path: Path, status: os.stat_result) -> None:
    suffix = path.suffix.lower()
    if suffix in FOREIGN:
        tree.faults[path] = f"images of the type {suffix} can't be read; convert it to PNG or JPEG"
    elif suffix not in SUFFIXES:
        tree.left_out[path] = f"files of the type {suffix}" if suffix else "files without a suffix"
    elif not stat.S_ISREG(status.st_mode):
        tree.faults[path] = "it is not a regular file"
    else:
        tree.files.append(ImageFile(path, _identity(status), status.st_size, status.st_mtime_ns))


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino
