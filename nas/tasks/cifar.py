"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), through torchvision."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

import numpy as np
from torchvision.datasets import CIFAR10, CIFAR100
from torchvision.datasets.utils import check_integrity

from nas.errors import TaskError
from nas.tasks import Split
from nas.tasks.classification import Classification
from nas.tasks.images import (
    Labelled,
    Normalisation,
    StackedImages,
    TransformedImages,
    fingerprint_of,
    stack,
    stack_as_is,
)
from nas.tasks.parameters import flag, whole
from nas.tasks.splits import stratified
from nas.tasks.transforms import Augmentation, Resizing, augmentation_settings, augmenting, preparation

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.data import Dataset

NORMALISATION = Normalisation((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
AUGMENTATION = {"scale": (0.6, 1.0), "ratio": (0.8, 1.25), "hflip": 0.5}
SIZE = 32


class _Cifar(Classification):
    """Shared part of both tasks: ``test`` is the published test set; validation is a stratified part of training."""

    paths = ("path",)
    normalisation = NORMALISATION

    source: Any

    def __init__(
        self,
        path: str | None = None,
        image_size: int = SIZE,
        num_validation: int = 5000,
        augmentation: Augmentation = True,
        download: bool = False,
        seed: int = 0,
    ) -> None:
        self._name = self.source.__name__.lower()
        size = whole(f"{self._name}: image_size", image_size, 8, 256)
        self.input_shape = (3, size, size)
        self._seed = whole(f"{self._name}: seed", seed, 0, 2**32 - 1)
        self._num_validation = whole(f"{self._name}: num_validation", num_validation, 1, 49_999)
        self._augmentation = augmentation_settings(augmentation, AUGMENTATION)
        self._augment = augmenting(self.input_shape, NORMALISATION, self._augmentation)
        self._path = self._find(path, download=flag(f"{self._name}: download", download))
        self._stacked: dict[Split, StackedImages] = {}

    def dataset(self, split: Split, *, augment: bool = False) -> Dataset[tuple[Tensor, Tensor]]:
        """See ``Task.dataset``."""
        if augment and self._augmentation:
            return TransformedImages(self._labelled(split), self._augment)
        if split not in self._stacked:
            data = self._labelled(split)
            self._stacked[split] = (
                stack_as_is(data, NORMALISATION)
                if self.input_shape[1] == SIZE
                else stack(data, Resizing(self.input_shape), NORMALISATION)
            )
        return self._stacked[split]

    def fingerprint(self) -> str:
        """See ``Task.fingerprint``; a hash of the settings and of the checksums that files must have."""
        files = [self.source.train_list, self.source.test_list]
        settings = [self.input_shape, self._augmentation, self._num_validation, self._seed]
        return fingerprint_of([self._name, files, settings])

    def preprocessing(self) -> dict[str, Any]:
        """See ``Task.preprocessing``."""
        return super().preprocessing() | preparation(self.input_shape)

    def _find(self, path: str | None, *, download: bool) -> Path:
        wanted = f"unpack {self.source.filename} ({self.source.url}) into it, or set download: true"
        if path is None:
            raise TaskError(f"{self._name}: no path; set path: in the task to a folder and {wanted}")
        folder = Path(path).expanduser().absolute()
        if not (folder / self.source.base_folder).is_dir():
            if not download:
                raise TaskError(f"{self._name}: no {self.source.base_folder} in {folder}; {wanted}")
            try:
                self.source(folder, download=True)
            except (OSError, URLError, RuntimeError) as error:
                raise TaskError(f"{self._name}: download into {folder} failed ({error}); {wanted}") from error
        self._check_files(folder)
        return folder

    def _check_files(self, folder: Path) -> None:
        """Compare every file with its published checksum, before a study spends time.

        Raises:
            TaskError: a file is missing, can't be read, or has another content.
        """
        base = folder / self.source.base_folder
        listed = [
            *self.source.train_list,
            *self.source.test_list,
            (self.source.meta["filename"], self.source.meta["md5"]),
        ]
        try:
            wrong = [name for name, checksum in listed if not check_integrity(str(base / name), checksum)]
        except OSError as error:
            raise TaskError(f"{self._name}: {base} can't be read ({error.strerror})") from error
        if wrong:
            raise TaskError(
                f"{self._name}: files under {base} are not the published ones: {', '.join(wrong)} missing, cut off or "
                f"changed; unpack {self.source.filename} again"
            )

    def _labelled(self, split: Split) -> Labelled:
        return self._read(train=False) if split == "test" else self._selection[split]

    @cached_property
    def _selection(self) -> dict[Split, Labelled]:
        data = self._read(train=True)
        train, validation = stratified(data.targets, self._num_validation, self._seed)
        parts: dict[Split, np.ndarray] = {"train": train, "validation": validation}
        return {split: Labelled(data.images[part], data.targets[part]) for split, part in parts.items()}

    def _read(self, *, train: bool) -> Labelled:
        # torchvision compares each file with its published checksum before it unpickles it.
        try:
            data = self.source(self._path, train=train)
        except RuntimeError as error:
            raise TaskError(
                f"{self._name}: the files under {self._path / self.source.base_folder} are not the published "
                f"ones ({error}); unpack {self.source.filename} again"
            ) from error
        return Labelled(data.data, np.array(data.targets, dtype=np.int64))


class Cifar10(_Cifar):
    """Colour images of 32×32 pixels in ten classes.

    45,000 images are for training, 5,000 for validation and 10,000 for testing. The score is ``accuracy``.

    Args:
        path: folder that contains ``cifar-10-batches-py``; without it, a message says which files to put where.
        image_size: width and height in pixels, 8 to 256; images are scaled to sizes other than 32.
        num_validation: number of validation images, taken from the 50,000 training images.
        augmentation: random resized crops and mirroring by default.
        download: download the data if they are missing.
        seed: seed of the split.
    """

    num_outputs = 10
    source = CIFAR10


class Cifar100(_Cifar):
    """Colour images of 32×32 pixels in 100 classes; the parameters are those of ``Cifar10``.

    Args:
        path: folder that contains ``cifar-100-python``.
    """

    num_outputs = 100
    source = CIFAR100
