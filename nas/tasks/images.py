"""Data sets of images in memory: stacked images that are normalized when read, and images that are augmented."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from nas.errors import TaskError

Transform = Callable[[Image.Image], Tensor]


class Labelled(NamedTuple):
    """Images ``(M, H, W)`` or ``(M, H, W, 3)`` uint8 with their targets ``(M, …)`` int64."""

    images: np.ndarray
    targets: np.ndarray


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel, for pixels scaled to 0 … 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """Convert pixels ``(…, C, H, W)`` uint8 to float32, with the roundings of ``preparation.normalized``."""
        scale, shift = self._factors
        return images.to(torch.float32).mul_(scale).add_(shift)

    @cached_property
    def _factors(self) -> tuple[Tensor, Tensor]:
        std = torch.tensor(self.std).view(-1, 1, 1)
        return 1 / (255 * std), -torch.tensor(self.mean).view(-1, 1, 1) / std


class StackedImages(Dataset[tuple[Tensor, Tensor]]):
    """Images ``(M, C, H, W)`` uint8 at their deployed size, normalized to float32 when read.

    A batch of any size is read by one indexing operation, without decoding or transforms.
    """

    def __init__(self, images: Tensor, targets: Tensor, normalisation: Normalisation) -> None:
        if len(images) != len(targets) or images.dtype != torch.uint8 or images.dim() != 4:
            raise TaskError(
                f"{tuple(images.shape)} images of {images.dtype} and {len(targets)} targets; "
                "allowed: images (M, C, H, W) of uint8 and the same number of targets"
            )
        self._images = images
        self._targets = targets
        self._normalise = normalisation

    def __len__(self) -> int:
        """Number of images."""
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Read item ``index``: an image ``(C, H, W)`` and its target."""
        return self._normalise(self._images[index]), self._targets[index]

    @property
    def targets(self) -> Tensor:
        """The targets of all items, in their order, ``(M, …)``."""
        return self._targets

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Read the items ``indices`` ``(B,)`` as new tensors, ``(B, C, H, W)`` and ``(B, …)``."""
        return self._normalise(self._images[indices]), self._targets[indices]


class TransformedImages(Dataset[tuple[Tensor, Tensor]]):
    """Images that are read through a transform, which may be random."""

    def __init__(self, data: Labelled, transform: Transform) -> None:
        self._images = data.images
        self._targets = torch.as_tensor(data.targets)
        self._transform = transform

    def __len__(self) -> int:
        """Number of images."""
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Read item ``index``: an image ``(C, H, W)`` float32 and its target."""
        return self._transform(Image.fromarray(self._images[index])), self._targets[index]


def stack(data: Labelled, resize: Transform, normalisation: Normalisation) -> StackedImages:
    """Resize all images to their deployed size and stack them.

    Args:
        data: the stored images.
        resize: function from an image to a tensor ``(C, H, W)`` uint8.
        normalisation: normalization of pixels when they are read.
    """
    images = torch.stack([resize(Image.fromarray(image)) for image in data.images])
    return StackedImages(images, torch.as_tensor(data.targets), normalisation)


def stack_as_is(data: Labelled, normalisation: Normalisation) -> StackedImages:
    """Stack images that already have their deployed size."""
    images = data.images[..., None] if data.images.ndim == 3 else data.images
    chw = torch.as_tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    return StackedImages(chw, torch.as_tensor(data.targets), normalisation)


def fingerprint_of(settings: Any, *arrays: np.ndarray) -> str:
    """Hash of JSON values and of arrays' contents, shapes and types."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for array in arrays:
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{little.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(little).tobytes())
    return digest.hexdigest()
