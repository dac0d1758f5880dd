"""Classification of the user's own images, with one folder per class."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
import hashlib
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor
from torch.utils.data import Dataset

from nas.errors import TaskError
from nas.tasks import SPLITS, DataSummary, Split
from nas.tasks.classification import Classification
from nas.tasks.image_files.items import Image, find_images
from nas.tasks.image_files.layout import LAYOUT, checked_splits
from nas.tasks.image_files.reading import CHANGES_PIXELS, quiet, read_image, shown
from nas.tasks.images import Normalisation, StackedImages, Transform, fingerprint_of
from nas.tasks.parameters import share, whole
from nas.tasks.shape_source import CACHE
from nas.tasks.splits import stratified
from nas.tasks.transforms import Augmentation, Resizing, augmentation_settings, augmenting, preparation

if TYPE_CHECKING:
    from collections.abc import Sequence

NORMALISATION = Normalisation(IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
AUGMENTATION = {"scale": (0.35, 1.0), "ratio": (0.75, 1.34), "hflip": 0.5}
#: Number of first bytes of each file that the fingerprint includes; photographs differ within their first block.
FINGERPRINT_BYTES = 65_536
BAD_FILES = ("refuse", "skip")


class Item(NamedTuple):
    """An image file and its class; ``marks`` are the notes about changes of its pixels after decoding."""

    path: Path
    target: int
    marks: str = ""


class ImageFolder(Classification):
    """Your own images, with one folder per class.

    The folders are ``PATH/train/<class>/*.jpg``, ``PATH/val/…``, ``PATH/test/…``, or ``PATH/<class>/*.jpg``. A split
    without a folder is drawn from the training images. The score is ``accuracy``. ``nas validate`` prints classes,
    images of each split and class, sizes and everything that is not used.

    - **Splits.** A folder that holds class folders is a split if its name means one, in any case: ``train``,
      ``training_set``, ``TrainData``, ``train2017``; ``val``, ``valid``, ``validation``, ``dev``, ``eval``; ``test``,
      ``testing``, ``Test_Set``. A folder of images is a class whatever its name, if there are other classes beside it.
      Images in folders below a class belong to the class. Ambiguous folders are refused: name the folders in
      ``splits``.
    - **Files.** Every file is decoded once, before a study spends time. Damaged and empty files, broken links, images
      of more than 178,956,970 pixels, formats that can't be read (such as HEIC), one file in two splits or two classes:
      such files are listed, and the folder is refused, or they are skipped under ``bad_files: skip``. Hidden names
      (``.ipynb_checkpoints``, ``__MACOSX``, ``Thumbs.db``), files that are not images, links to a folder above them and
      further links to an image of the same class are left out, and ``nas validate`` says so.
    - **Pixels.** Images become 8-bit RGB: turned upright as EXIF says, transparency laid on white, the first of several
      frames. 16-bit grey is divided by 65535; floating-point values from 0 to 1 by 1; other floating-point and 32-bit
      values are refused unless ``white`` is given. Colour profiles are not applied; ``nas validate`` counts the images
      that have one.
    - **Inputs.** The shorter side is resized to ``image_size / crop`` pixels (rounded down; bilinear, antialiased) and
      the centre of ``image_size`` × ``image_size`` is cut out. Pixels are scaled to 0 … 1 and normalised by ImageNet's
      mean ``(0.485, 0.456, 0.406)`` and standard deviation ``(0.229, 0.224, 0.225)``, which are fixed: ``(pixel / 255 -
      mean) / std``, RGB, float32. Training images are augmented instead of resized and cropped, and normalised alike.
      ``preprocessing.json`` of an exported network contains all of this.
    - **Classes.** Output ``i`` is the ``i``-th class folder, sorted by name (upper case before lower case).
    - **Trained networks.** Images drawn from ``PATH/<class>`` for validation and test may be among those that a given
      network was trained on. Use folders for train, val and test with such a network: see
      ``docs/how-to/own-network.md``.

    Args:
        path: the folder; required.
        image_size: width and height in pixels, 8 to 1024.
        augmentation: random resized crops and mirroring by default.
        validation_share: share of the images used for validation if there is no folder for it.
        test_share: share of the images used for testing if there is no folder for it.
        crop: share of the shorter side that is kept from the centre when an image is not augmented.
        memory_mb: a split whose decoded images fit into this memory is decoded only once.
        seed: seed of the split.
        splits: folders of the splits below ``path``, as in ``{train: training_set, test: test_set}``; ``none``: all
            folders are classes.
        bad_files: ``refuse`` a folder with files that can't be used, or ``skip`` those files.
        white: value of white in images with more than 8 bits a channel; larger values count as white.
        cache: folder that keeps what was found while decoding; ``~/.cache/measured-nas`` by default, ``""`` keeps
            nothing.
    """

    paths = ("path", "cache")
    normalisation = NORMALISATION

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
        splits: Mapping[Split, str] | str | None = None,
        bad_files: str = "refuse",
        white: float | None = None,
        cache: str | None = None,
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
        if bad_files not in BAD_FILES:
            raise TaskError(f"image_folder: bad_files: {bad_files!r}; allowed: {', '.join(BAD_FILES)}")
        self._white = None if white is None else share("image_folder: white", white, 1e-9, 1e12)
        self._path = _existing(path)
        folder = CACHE if cache is None else cache
        self._images = find_images(
            self._path,
            checked_splits(splits),
            size=size,
            white=self._white,
            skip=bad_files == "skip",
            cache=Path(folder).expanduser() if folder else None,
        )
        self.classes = [shown(name) for name in self._images.classes]
        self.num_outputs = len(self.classes)
        self._stacked: dict[Split, StackedImages] = {}
        _ = self._splits  # raises an error now if there are too few images to draw a split

    def dataset(self, split: Split, *, augment: bool = False) -> Dataset[tuple[Tensor, Tensor]]:
        """See ``Task.dataset``."""
        items = self._splits[split]
        if augment and self._augmentation:
            return self._files(items, self._augment)
        if len(items) * int(np.prod(self.input_shape)) > self._memory_bytes:
            return self._files(items, Resizing(self.input_shape, crop=self._crop, normalisation=NORMALISATION))
        if split not in self._stacked:
            files = self._files(items, Resizing(self.input_shape, crop=self._crop))
            images = torch.stack([files[index][0] for index in range(len(files))])
            targets = torch.tensor([item.target for item in items])
            self._stacked[split] = StackedImages(images, targets, NORMALISATION)
        return self._stacked[split]

    def fingerprint(self) -> str:
        """Hash of the names, sizes and first blocks of all files, classes, splits and settings."""
        return self._fingerprint

    def summary(self) -> DataSummary:
        """See ``Task.summary``."""
        counts = {
            split: np.bincount([item.target for item in self._splits[split]], minlength=self.num_outputs).tolist()
            for split in SPLITS
        }
        images = self._images
        return DataSummary(tuple(self.classes), counts, images.sizes, images.skipped, images.notes)

    def preprocessing(self) -> dict[str, Any]:
        """See ``Task.preprocessing``."""
        return super().preprocessing() | preparation(self.input_shape, crop=self._crop) | {"white": self._white}

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the class folders."""
        return tuple(self.classes)

    @cached_property
    def _fingerprint(self) -> str:
        settings: list[Any] = [self.input_shape, self._crop, self._augmentation, self.classes]
        if self._white is not None:
            settings.append(self._white)
        digest = hashlib.sha256(fingerprint_of(settings).encode())
        for split, items in self._splits.items():
            for item in items:
                path = self._path / item.path
                about = f"\0{item.target}\0{path.stat().st_size}\0{item.marks}".encode()
                digest.update(split.encode() + b"\0" + os.fsencode(item.path.as_posix()) + about)
                with path.open("rb") as file:
                    digest.update(hashlib.sha256(file.read(FINGERPRINT_BYTES)).digest())
        return digest.hexdigest()

    def _files(self, items: Sequence[Item], transform: Transform) -> _Files:
        return _Files(self._path, items, transform, self._white)

    @cached_property
    def _splits(self) -> dict[Split, list[Item]]:
        number = {name: place for place, name in enumerate(self._images.classes)}
        found = {
            split: [
                Item(
                    image.path, number[image.label], ",".join(sorted(CHANGES_PIXELS.intersection(image.checked.notes)))
                )
                for image in images
            ]
            for split, images in self._images.splits.items()
        }
        total = len(found["train"])
        for split, size in self._shares.items():
            if split not in found:
                rest = found["train"]
                kept, drawn = stratified([item.target for item in rest], round(size * total), self._seed)
                found["train"], found[split] = [rest[i] for i in kept], [rest[i] for i in drawn]
        return found


class _Files(Dataset[tuple[Tensor, Tensor]]):
    """Data set of images that are decoded when they are read."""

    def __init__(self, root: Path, items: Sequence[Item], transform: Transform, white: float | None) -> None:
        self._root = root
        self._items = items
        self._transform = transform
        self._white = white

    def __len__(self) -> int:
        return len(self._items)

    @property
    def targets(self) -> Tensor:
        """The classes of all items, in their order, ``(M,)``."""
        return torch.tensor([item.target for item in self._items])

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        item = self._items[index]
        path = self._root / item.path
        try:
            with quiet():
                image = read_image(path, self._white).image
        except TaskError as error:
            raise TaskError(
                f"image_folder: {shown(path)}: {error}; it was readable when the task was made, and has changed since"
            ) from error
        return self._transform(image), torch.tensor(item.target)


def _marks(image: Image) -> str:
    return ",".join(sorted(CHANGES_PIXELS.intersection(image.checked.notes)))


def _existing(path: str | None) -> Path:
    if path is None:
        raise TaskError(f"image_folder: no path; set path: in the task to a folder with images as {LAYOUT}")
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise TaskError(f"image_folder: no folder {folder}; put images there as {LAYOUT}")
    return folder
