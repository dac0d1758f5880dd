"""Finds the usable images of a folder, by split and class, and lists all files that are not used."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

from nas.errors import TaskError
from nas.tasks import Split
from nas.tasks.image_files.layout import LAYOUT, FolderLayout, find_layout
from nas.tasks.image_files.reading import Note, shown
from nas.tasks.image_files.scan import Checked, scan
from nas.tasks.image_files.tree import Identity, ImageFile, Tree, walk
from nas.tasks.preparation import WHITE_16

#: Largest number of paths in a message.
_NAMED = 12
#: A file that is in several splits stays in the first of these.
_KEPT_FIRST: tuple[Split, ...] = ("test", "validation", "train")
#: Largest number of pixels of an image, before and after scaling.
_MAX_PIXELS = 178_956_970


class Place(NamedTuple):
    """Split and class of a file."""

    split: Split
    label: str


class Image(NamedTuple):
    """A usable file: its path relative to the image folder, its class, and the result of decoding."""

    path: Path
    label: str
    checked: Checked


@dataclass(frozen=True)
class Images:
    """The content of an image folder.

    Attributes:
        classes: names of the class folders, sorted.
        splits: split → its images; only ``train`` if no split has a folder.
        skipped: path of an image that is not used → the reason; empty unless ``bad_files`` is ``skip``.
        notes: further remarks, one sentence each.
    """

    classes: tuple[str, ...]
    splits: Mapping[Split, tuple[Image, ...]]
    skipped: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Width and height of the smallest, the median and the largest image, by number of pixels."""
        sizes = [(item.checked.width, item.checked.height) for images in self.splits.values() for item in images]
        sizes.sort(key=lambda size: size[0] * size[1])
        return {"smallest": sizes[0], "median": sizes[len(sizes) // 2], "largest": sizes[-1]}


def find_images(
    root: Path,
    splits: Mapping[Split, str] | str | None,
    *,
    size: int,
    white: float | None,
    skip: bool,
    cache: Path | None,
) -> Images:
    """Find and check all images below a folder.

    Args:
        root: the image folder.
        splits: the plan's parameter ``splits``, see ``layout``.
        size: pixels per side that images are scaled to.
        white: see ``reading.read_image``.
        skip: whether to leave out files that can't be used; otherwise they are an error.
        cache: folder for the results of decoding; None keeps nothing.

    Raises:
        TaskError: there are no classes, or files that can't be used; the message lists them.
    """
    tree = walk(root)
    layout = find_layout(tree, splits)
    placed = _places(tree, layout)
    checked = scan(root, [file for file in tree.files if file.path in placed], white, cache)
    for path, item in checked.items():
        if why := item.fault or _too_long(item, size):
            tree.faults[path] = why
    _drop_links(tree, placed)
    faults = {
        shown(path): why
        for path, why in sorted(tree.faults.items(), key=lambda item: str(item[0]))
        if any(folder in (path, *path.parents) for folder in layout.folders.values())
    }
    if faults and not skip:
        raise TaskError(_refusal(root, faults))
    usable = [file.path for file in tree.files if file.path in placed and file.path not in tree.faults]
    found: dict[Split, list[Image]] = {split: [] for split in layout.folders}
    for path in usable:
        found[placed[path].split].append(Image(path, placed[path].label, checked[path]))
    classes = _classes(tree, layout, found)
    whole = {split: tuple(images) for split, images in found.items()}
    return Images(classes, whole, faults, (*layout.notes, *_notes(tree, whole)))


def _places(tree: Tree, layout: FolderLayout) -> dict[Path, Place]:
    """Path → split and class; images outside of class folders are left out."""
    placed: dict[Path, Place] = {}
    for split, folder in layout.folders.items():
        depth = len(folder.parts)
        for file in tree.files:
            parts = file.path.parts
            if parts[:depth] != folder.parts:
                continue
            if len(parts) > depth + 1:
                placed[file.path] = Place(split, parts[depth])
            else:
                tree.left_out[file.path] = "images outside of class folders"
    return placed


def _drop_links(tree: Tree, placed: dict[Path, Place]) -> None:
    """Keep one of several links to the same file; links in different classes are faults."""
    groups: dict[Identity, list[ImageFile]] = defaultdict(list)
    for file in tree.files:
        if file.path in placed:
            groups[file.identity].append(file)
    for files in groups.values():
        if len({placed[file.path].label for file in files}) > 1:
            where = " and ".join(shown(file.path) for file in files[:3])
            tree.faults.update({file.path: f"one file in several classes ({where})" for file in files})
            continue
        first = min(files, key=lambda file: _KEPT_FIRST.index(placed[file.path].split))
        for file in files:
            if file is first:
                continue
            if placed[file.path].split == placed[first.path].split:
                tree.left_out[file.path] = "further links to an image"
                del placed[file.path]
            else:
                tree.faults[file.path] = f"the same file as {shown(first.path)}, in another split"


def _too_long(item: Checked, size: int) -> str:
    """The fault of an image that is too long and narrow to scale its shorter side to ``size``; empty if it is not."""
    short, long = sorted((item.width, item.height))
    if short and long / short * size * size <= _MAX_PIXELS:
        return ""
    return f"{item.width}×{item.height} pixels is too long and narrow to be scaled to {size} pixels a side"


def _classes(tree: Tree, layout: FolderLayout, found: Mapping[Split, Sequence[Image]]) -> tuple[str, ...]:
    named = {
        split: {path.parts[len(folder.parts)] for path in _class_folders(tree, folder, layout)}
        for split, folder in layout.folders.items()
    }
    names = set().union(*named.values())
    for split, images in found.items():
        filled = {image.label for image in images}
        if missing := names - filled:
            raise TaskError(_lacking(tree, layout, split, missing, empty=missing <= named[split]))
    if not names:
        raise TaskError(f"image_folder: {shown(tree.root)} holds no images in class folders; arrange them as {LAYOUT}")
    if len(names) == 1:
        raise TaskError(
            f"image_folder: {shown(tree.root)} holds one class, {shown(names.pop())!r}; "
            "a classification needs two or more"
        )
    return tuple(sorted(names))


def _class_folders(tree: Tree, folder: Path, layout: FolderLayout) -> list[Path]:
    depth = len(folder.parts)
    return [path for path in tree.folders if len(path.parts) == depth + 1 and path.parts[:depth] == folder.parts]


def _lacking(tree: Tree, layout: FolderLayout, split: Split, missing: set[str], *, empty: bool) -> str:
    names = ", ".join(shown(name) for name in sorted(missing))
    where = shown(tree.root / layout.folders[split])
    if len(layout.folders) == 1:
        return f"image_folder: {where}: class folders without usable images: {names}; add images or remove the folders"
    what = "have a folder without usable images" if empty else "have no images"
    return (
        f"image_folder: {shown(tree.root)}: classes of the splits differ: {names} {what} in {split} ({where}); "
        "every split needs a folder with images for every class"
    )


def _refusal(root: Path, faults: Mapping[str, str]) -> str:
    lines = [f"  {path}: {why}" for path, why in list(faults.items())[:_NAMED]]
    if len(faults) > _NAMED:
        lines.append(f"  … and {len(faults) - _NAMED} more")
    return (
        f"image_folder: {len(faults)} files below {shown(root)} can't be used; repair or remove them, or set "
        "bad_files: skip in the task to leave them out:\n" + "\n".join(lines)
    )


def _notes(tree: Tree, splits: Mapping[Split, Sequence[Image]]) -> list[str]:
    images = [image for found in splits.values() for image in found]
    counts = Counter(note for image in images for note in image.checked.notes)
    notes = [f"{count} images {note}" for note, count in counts.items()]
    notes += _dark(images) + _copies(splits)
    for why, count in Counter(tree.left_out.values()).items():
        example = shown(next(path for path, reason in tree.left_out.items() if reason == why))
        notes.append(f"left out: {count} × {why}, such as {example}")
    return notes


def _dark(images: Sequence[Image]) -> list[str]:
    """A note if 16-bit files use only a small part of their range, like those of cameras with 10 to 14 bits."""
    peaks = [image.checked.peak for image in images if image.checked.peak is not None]
    highest = max(peaks, default=0.0)
    if not 1 < highest < WHITE_16 / 4 or Note.DEEP not in {note for image in images for note in image.checked.notes}:
        return []
    return [
        f"the largest value in {len(peaks)} images with more than 8 bits is {highest:g}, the median of their largest "
        f"values {median(peaks):g}; if white is less than 65535 in them, set white: in the task"
    ]


def _copies(splits: Mapping[Split, Sequence[Image]]) -> list[str]:
    """Notes about files with equal content in several splits or classes, which make test results unreliable."""
    seen: dict[str, list[tuple[Split, Image]]] = defaultdict(list)
    for split, images in splits.items():
        for image in images:
            seen[image.checked.content].append((split, image))
    notes = []
    for what, part in (("splits", 0), ("classes", 1)):
        groups = [items for items in seen.values() if len({(split, image.label)[part] for split, image in items}) > 1]
        if groups:
            example = " and ".join(shown(image.path) for _, image in groups[0][:2])
            count = "1 image is" if len(groups) == 1 else f"{len(groups)} images are"
            notes.append(f"{count} in several {what}, as copies: {example}")
    return notes
