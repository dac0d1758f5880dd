"""Decides which folders are splits and which are classes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from nas.errors import TaskError
from nas.tasks import SPLITS, Split
from nas.tasks.image_files.reading import shown
from nas.tasks.image_files.tree import Tree

LAYOUT = "PATH/train/<class>/*.jpg, PATH/val/<class>/*.jpg and PATH/test/<class>/*.jpg; or PATH/<class>/*.jpg"
#: Value of ``splits`` in a plan that makes every folder a class, whatever its name.
NO_SPLITS = "none"
_WORDS: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "trn", "learn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "development"), "validation"),
    **dict.fromkeys(("eval", "evaluation", "evaluate"), "validation"),
    **dict.fromkeys(("test", "testing", "tst", "holdout"), "test"),
}
_FILLERS = {"set", "sets", "data", "dataset", "images", "image", "imgs", "img", "split", "folder", "pictures", "photos"}


@dataclass(frozen=True)
class FolderLayout:
    """The folder of each split, relative to the image folder; only ``train``, the folder itself, if there are none."""

    folders: Mapping[Split, Path]
    notes: tuple[str, ...] = ()


def split_of(name: str) -> Split | None:
    """The split that a folder's name means, in upper or lower case: ``train``, ``Test_Set``, ``valData``, ``val2017``.

    None if the name means no split.
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = [word for word in re.split(r"[^a-z]+", spaced.lower()) if word and word not in _FILLERS]
    if len(words) != 1:
        return None
    word = words[0]
    endings = [word, *(word.removesuffix(filler) for filler in ("set", "data", "images") if word.endswith(filler))]
    return next((_WORDS[item] for item in endings if item in _WORDS), None)


def checked_splits(value: Any) -> Mapping[Split, str] | str | None:
    """Check and return the parameter ``splits`` of a plan.

    Raises:
        TaskError: it is neither a mapping of splits to folders nor ``none``.
    """
    allowed = "allowed: a mapping such as {train: training_set, test: test_set}, or none if all folders are classes"
    if value is None or value == NO_SPLITS:
        return cast("str | None", value)
    if not isinstance(value, Mapping) or not all(isinstance(item, str) and item for item in value.values()):
        raise TaskError(f"image_folder: splits: {value!r}; {allowed}")
    if unknown := [key for key in value if key not in SPLITS]:
        raise TaskError(f"image_folder: splits: unknown {unknown[0]!r}; the splits are train, validation and test")
    if "train" not in value:
        raise TaskError(f"image_folder: splits: {dict(value)!r} names no train; {allowed}")
    return value


def find_layout(tree: Tree, splits: Mapping[Split, str] | str | None) -> FolderLayout:
    """The folders of the splits: those that ``splits`` names, or those recognised by their names and content.

    Raises:
        TaskError: the folders are ambiguous, or contain no classes.
    """
    if isinstance(splits, Mapping):
        return FolderLayout({split: _named(tree, split, folder) for split, folder in splits.items()})
    if splits == NO_SPLITS:
        return FolderLayout({"train": Path()})
    return _Folders(tree).layout()


def _named(tree: Tree, split: Split, folder: str) -> Path:
    path = Path(folder)
    if path.is_absolute() or ".." in path.parts or path not in (Path(), *tree.folders):
        raise TaskError(
            f"image_folder: splits: {split}: {shown(folder)}: there is no such folder below {shown(tree.root)}; "
            "give it relative to path"
        )
    return path


class _Folders:
    """The folders directly below the image folder, with their content."""

    def __init__(self, tree: Tree) -> None:
        self._root = shown(tree.root)
        paths = [file.path for file in tree.files] + list(tree.faults)
        self._inside = {
            str(folder): {path.parts[1] for path in paths if len(path.parts) > 2 and path.parts[0] == str(folder)}
            for folder in tree.folders
            if len(folder.parts) == 1
        }
        self._direct = {path.parts[0] for path in paths if len(path.parts) == 2}
        self._loose = any(len(path.parts) == 1 for path in paths)
        self._filled = [name for name, inside in self._inside.items() if inside or name in self._direct]
        self._meant = {name: split for name in self._filled if (split := split_of(name))}

    def layout(self) -> FolderLayout:
        if not self._filled:
            self._refuse_empty()
        nested = [name for name in self._meant if self._inside[name] and name not in self._direct]
        if nested or (self._meant and set(self._meant) == set(self._filled)):
            return self._by_split()
        if mixed := [name for name in self._meant if self._inside[name]]:
            self._refuse(f"{mixed[0]!r} holds images and folders of images, so it may be a split or a class")
        self._check_classes()
        return FolderLayout({"train": Path()})

    def _by_split(self) -> FolderLayout:
        for name in self._meant:
            if not self._inside[name]:
                self._refuse(f"{name!r} has the name of a split and holds images, but no folders of classes")
        folders: dict[Split, Path] = {}
        for name, split in self._meant.items():
            if split in folders:
                self._refuse(f"{str(folders[split])!r} and {name!r} both mean {split}")
            folders[split] = Path(name)
        if "train" not in folders:
            self._refuse(
                f"{', '.join(map(repr, self._meant))} are named like splits, but no folder is named like train"
            )
        return FolderLayout(
            {split: folders[split] for split in SPLITS if split in folders}, self._others(folders["train"])
        )

    def _others(self, train: Path) -> tuple[str, ...]:
        """Notes about folders beside the splits, which are left out; folders that may be splits are refused."""
        others = [name for name in self._filled if name not in self._meant]
        classes = self._inside[str(train)]
        for name in others:
            if self._inside[name] & classes:
                self._refuse(f"{name!r} holds the same folders as {str(train)!r}, but is not named like a split")
            if name in classes or (len(self._meant) == 1 and name in self._direct):
                self._refuse(f"{str(train)!r} holds folders like a split, and {name!r} beside it is like a class")
        return tuple(f"the folder {shown(name)!r} beside the splits is left out" for name in others)

    def _check_classes(self) -> None:
        """Refuse folders that are not named like splits but arranged like splits, or that contain splits."""
        only_folders = [name for name in self._filled if self._inside[name] and name not in self._direct]
        if len(self._filled) == 1 and only_folders:
            name = only_folders[0]
            inside = ", ".join(map(shown, sorted(self._inside[name])[:5]))
            self._refuse(f"the only folder is {name!r}, which holds {inside}; if those are the classes, use its path")
        if len(only_folders) != len(self._filled):
            return
        names = [self._inside[name] for name in self._filled]
        shared = set.intersection(*names)
        if any(split_of(name) for name in shared):
            self._refuse(f"every class holds folders named like splits ({', '.join(sorted(map(shown, shared)))})")
        if len(shared) > 1:
            which = ", ".join(map(repr, self._filled[:5]))
            self._refuse(f"{which} hold the same folders ({', '.join(sorted(map(shown, shared))[:5])})")

    def _refuse(self, why: str) -> None:
        raise TaskError(
            f"image_folder: {self._root}: {shown(why)}. Arrange the images as {LAYOUT}; or name the splits in the "
            "task, as in splits: {train: training_set, test: test_set}, or write splits: none if every folder is "
            "a class"
        )

    def _refuse_empty(self) -> None:
        why = "its images lie in no folder" if self._loose else "there are no images"
        raise TaskError(
            f"image_folder: {self._root} holds no images in class folders ({why}); arrange them as {LAYOUT}"
        )
