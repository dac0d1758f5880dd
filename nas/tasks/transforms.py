"""Transforms of images: as deployed, and augmented by ``timm.data``."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torch import Tensor
from torchvision import transforms

from nas.errors import TaskError
from nas.registry import nearest
from nas.tasks.images import Normalisation, Transform
from nas.tasks.preparation import resized

#: Keys of a plan's ``augmentation``; the values are passed to ``timm.data.create_transform``.
AUGMENTATION = (
    "train_crop_mode",
    "scale",
    "ratio",
    "hflip",
    "vflip",
    "color_jitter",
    "color_jitter_prob",
    "grayscale_prob",
    "auto_augment",
    "re_prob",
    "re_mode",
    "re_count",
)
#: Values that switch off augmentations which were not requested.
_NEUTRAL = {"scale": (1.0, 1.0), "ratio": (1.0, 1.0), "hflip": 0.0, "color_jitter": None}
Augmentation = bool | Mapping[str, Any] | None


def augmentation_settings(requested: Augmentation, default: Mapping[str, Any]) -> dict[str, Any]:
    """Settings for a plan's ``augmentation``: the task's default for ``true``, a mapping as it is, else nothing.

    Raises:
        TaskError: ``requested`` is something else, or has an unknown key.
    """
    if requested is None or isinstance(requested, bool):
        return dict(default) if requested else {}
    if not isinstance(requested, Mapping):
        raise TaskError(f"augmentation: {requested!r}; allowed: true, false, a mapping of {', '.join(AUGMENTATION)}")
    for key in requested:
        if key not in AUGMENTATION:
            hint = nearest(str(key), AUGMENTATION, f"allowed: {', '.join(AUGMENTATION)}")
            raise TaskError(f"augmentation: unknown {key!r}{hint}")
    return dict(requested)


def preparation(input_shape: tuple[int, int, int], *, crop: float = 1.0) -> dict[str, Any]:
    """The steps from an image to pixels of the deployed size, as ``nas.tasks.preparation.resized`` takes them.

    The shorter side is scaled to ``size / crop``, and the centre is cropped.
    """
    channels, height, width = input_shape
    return {
        "channels": "L" if channels == 1 else "RGB",
        "resize": {"shorter_side": int(height / crop), "interpolation": "bilinear", "antialias": True},
        "crop": {"height": height, "width": width, "position": "center"},
    }


class Resizing:
    """Transform of an 8-bit image as deployed; a class, so that it can be sent to data-loading processes.

    The result is ``(C, H, W)``: uint8, or float32 if a normalization is given.
    """

    def __init__(
        self, input_shape: tuple[int, int, int], *, crop: float = 1.0, normalisation: Normalisation | None = None
    ) -> None:
        self._steps = preparation(input_shape, crop=crop)
        self._normalisation = normalisation

    def __call__(self, image: Image.Image) -> Tensor:
        """Resize and crop an image."""
        pixels = torch.from_numpy(np.array(resized(image, self._steps).transpose(2, 0, 1), order="C"))
        return pixels if self._normalisation is None else self._normalisation(pixels)


def augmenting(
    input_shape: tuple[int, int, int], normalisation: Normalisation, settings: Mapping[str, Any]
) -> Transform:
    """Transform to ``(C, H, W)`` float32 with the augmentation ``settings``, whose keys are in ``AUGMENTATION``.

    Raises:
        TaskError: timm refuses a value.
    """
    config = _config(input_shape, normalisation) | {"crop_pct": None} | _NEUTRAL | dict(settings)
    try:
        made = create_transform(**config, is_training=True)
    except (AssertionError, TypeError, ValueError, KeyError) as error:
        raise TaskError(
            f"augmentation: timm.data.create_transform refuses {dict(settings)!r}: {error!r}; "
            "see its documentation for the values of each key"
        ) from error
    return _of_channels(made, input_shape)


def _config(input_shape: tuple[int, int, int], normalisation: Normalisation) -> dict[str, Any]:
    wanted = {"input_size": input_shape, "interpolation": "bilinear"}
    return cast("dict[str, Any]", resolve_data_config({**wanted, "mean": normalisation.mean, "std": normalisation.std}))


def _of_channels(transform: Any, input_shape: tuple[int, int, int]) -> Transform:
    """Convert images to one channel if the input has one, else to RGB, before the transform."""
    mode = "L" if input_shape[0] == 1 else "RGB"
    return cast("Transform", transforms.Compose([_Mode(mode), transform]))


class _Mode:
    """Converts images to a colour mode; a class, so that it can be sent to data-loading processes."""

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def __call__(self, image: Any) -> Any:
        return image.convert(self.mode)
