"""A user's own images, one folder a class."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
import hashlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.datasets import ImageFolder as TorchvisionFolder
from torchvision.datasets.folder import pil_loader

from nas.errors import TaskError
from nas.tasks import Split
from nas.tasks.classification import Classification
from nas.tasks.images import Normalisation, StackedImages, Transform, fingerprint_of
from nas.tasks.parameters import share, whole
from nas.tasks.splits import stratified
from nas.tasks.transforms import Augmentation, augmentation_settings, augmenting, deployed, resizing

if TYPE_CHECKING:
    from collections.abc import Sequence

NORMALISATION = Normalisation(IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
AUGMENTATION = {"scale": (0.35, 1.0), "ratio": (0.75, 1.34), "hflip": 0.5}
LAYOUT = "PATH/train/<class>/*.jpg, PATH/val/<class>/*.jpg and PATH/test/<class>/*.jpg; or PATH/<class>/*.jpg"
#: Folder names a split is looked for under; the first that exists counts.
FOLDERS: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("val", "validation", "valid"),
    "test": ("test",),
}
#: What of each file enters the fingerprint beside name and size: photographs differ from the first block on.
FINGERPRINT_BYTES = 65_536


class Item(NamedTuple):
    """An image file and its class."""

    file: str
    target: int


class ImageFolder(Classification):
    """Classes are folders. Splits are the folders ``train``, ``val``, ``test``; a missing one is drawn from the first.

    Args:
        path: the folder: with one folder a split, or with the classes themselves.
        image_size: pixels a side, 8 to 1024.
        augmentation: ``true`` for ``AUGMENTATION``, or a mapping of timm's settings.
        validation_share: of the images that validate where there is no folder for it.
        test_share: of the images that test where there is no folder for it.
        crop: share of the shorter side that is kept when deployed, from the centre.
        memory_mb: a split that fits, decoded, is decoded only once.
        seed: of the split.
    """

    paths = ("path",)

    def __init__(
        self,
        path: str | None = None,
        image_size: int = 64,
        augmentation: Augmentation = True,
        validation_share: float = 0.15,
        test_share: float = 0.15,
        crop: float = 1.0,
        memory_mb: int = 512,
        seed: int = 0,
    ) -> None:
        size = whole("image_folder: image_size", image_size, 8, 1024)
        self.input_shape = (3, size, size)
        self._crop = share("image_folder: crop", crop, 0.1)
        self._shares: dict[Split, float] = {
            "test": share("image_folder: test_share", test_share, 0.01, 0.9),
            "validation": share("image_folder: validation_share", validation_share, 0.01, 0.9),
        }
        self._memory_bytes = whole("image_folder: memory_mb", memory_mb, 0, 1_000_000) * 2**20
        self._seed = whole("image_folder: seed", seed, 0, 2**32 - 1)
        self._augmentation = augmentation_settings(augmentation, AUGMENTATION)
        self._augment = augmenting(self.input_shape, NORMALISATION, self._augmentation)
        self._path = _existing(path)
        self.classes, self._found = _scan(self._path)
        self.num_outputs = len(self.classes)
        self._stacked: dict[Split, StackedImages] = {}

    def dataset(self, split: Split, *, augment: bool = False) -> Dataset[tuple[Tensor, Tensor]]:
        """See ``Task.dataset``."""
        items = self._splits[split]
        if augment and self._augmentation:
            return _Files(items, self._augment)
        if len(items) * int(np.prod(self.input_shape)) > self._memory_bytes:
            return _Files(items, deployed(self.input_shape, NORMALISATION, crop=self._crop))
        if split not in self._stacked:
            files = _Files(items, resizing(self.input_shape, crop=self._crop))
            images = torch.stack([files[index][0] for index in range(len(files))])
            targets = torch.tensor([item.target for item in items])
            self._stacked[split] = StackedImages(images, targets, NORMALISATION)
        return self._stacked[split]

    def fingerprint(self) -> str:
        """Hash of names, sizes, first blocks, classes, splits and settings."""
        settings = [self.input_shape, self._crop, self._augmentation, self.classes]
        digest = hashlib.sha256(fingerprint_of(settings).encode())
        for split, items in self._splits.items():
            for item in items:
                path = Path(item.file)
                name = path.relative_to(self._path).as_posix()
                digest.update(f"{split}\0{name}\0{item.target}\0{path.stat().st_size}\0".encode())
                with path.open("rb") as file:
                    digest.update(hashlib.sha256(file.read(FINGERPRINT_BYTES)).digest())
        return digest.hexdigest()

    @cached_property
    def _splits(self) -> dict[Split, list[Item]]:
        found = dict(self._found)
        total = len(found["train"])
        for split, size in self._shares.items():
            if split not in found:
                rest = found["train"]
                kept, drawn = stratified([item.target for item in rest], round(size * total), self._seed)
                found["train"], found[split] = [rest[i] for i in kept], [rest[i] for i in drawn]
        return found


class _Files(Dataset[tuple[Tensor, Tensor]]):
    """Images decoded when they are read."""

    def __init__(self, items: Sequence[Item], transform: Transform) -> None:
        self._items = items
        self._transform = transform

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        file, target = self._items[index]
        try:
            image = pil_loader(file)
        except OSError as error:
            raise TaskError(f"image_folder: {file} can't be read ({error}); repair or remove it") from error
        return self._transform(image), torch.tensor(target)


def _existing(path: str | None) -> Path:
    if path is None:
        raise TaskError(f"image_folder: no path; name a folder as path: in the task, with images as {LAYOUT}")
    folder = Path(path).expanduser().absolute()
    if not folder.is_dir():
        raise TaskError(
            f"image_folder: no folder {folder}; put images there as {LAYOUT}, or correct path: in the task, which is "
            "relative to the plan's folder"
        )
    return folder


def _scan(path: Path) -> tuple[list[str], dict[Split, list[Item]]]:
    """The classes, and the items of each split that has a folder; all are ``train`` where none has."""
    folders = {
        split: next((path / name for name in names if (path / name).is_dir()), None) for split, names in FOLDERS.items()
    }
    if folders["train"] is None:
        classes, items = _read(path)
        return classes, {"train": items}
    found = {split: _read(folder) for split, folder in folders.items() if folder is not None}
    classes = found["train"][0]
    for split, (others, _) in found.items():
        if others != classes:
            different = ", ".join(sorted(set(others) ^ set(classes)))
            raise TaskError(
                f"image_folder: {path}: classes of train and {split} differ: {different}; "
                "every split needs a folder with images for every class"
            )
    return classes, {split: items for split, (_, items) in found.items()}


def _read(folder: Path) -> tuple[list[str], list[Item]]:
    try:
        data = TorchvisionFolder(str(folder))
    except FileNotFoundError as error:
        raise TaskError(
            f"image_folder: {folder} holds no images in class folders ({error}); arrange them as {LAYOUT}"
        ) from None
    if len(data.classes) < 2:
        raise TaskError(
            f"image_folder: {folder} holds one class, {data.classes[0]!r}; a classification needs two or more"
        )
    return data.classes, [Item(file, target) for file, target in data.samples]
