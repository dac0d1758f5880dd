"""Transforms of images, deployed and augmented, made by ``timm.data``."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from collections.abc import Mapping
from typing import Any, cast

from timm.data import create_transform, resolve_data_config
from torchvision import transforms

from nas.errors import TaskError
from nas.registry import nearest
from nas.tasks.images import Normalisation, Transform

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


def resizing(input_shape: tuple[int, int, int], *, crop: float = 1.0) -> Transform:
    """Transform to ``(C, H, W)`` uint8: the shorter side is scaled to ``size / crop``, and the centre is cropped."""
    made = create_transform(**_config(input_shape, crop=crop), is_training=False, normalize=False)
    return _of_channels(made, input_shape)


def resize_words(input_shape: tuple[int, int, int], *, crop: float = 1.0) -> str:
    """A description of ``resizing`` for people who run an exported network."""
    size = input_shape[1]
    return f"shorter side to {int(size / crop)} pixels (bilinear, antialiased), then the central {size}×{size}"


def deployed(input_shape: tuple[int, int, int], normalisation: Normalisation, *, crop: float = 1.0) -> Transform:
    """Transform to ``(C, H, W)`` float32 as deployed: resized, cropped and normalized."""
    made = create_transform(**_config(input_shape, normalisation, crop=crop), is_training=False)
    return _of_channels(made, input_shape)


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


def _config(
    input_shape: tuple[int, int, int], normalisation: Normalisation | None = None, *, crop: float = 1.0
) -> dict[str, Any]:
    wanted: dict[str, Any] = {"input_size": input_shape, "crop_pct": crop, "interpolation": "bilinear"}
    if normalisation is not None:
        wanted |= {"mean": normalisation.mean, "std": normalisation.std}
    elif input_shape[0] == 1:
        wanted |= {"mean": (0.5,), "std": (0.5,)}
    return cast("dict[str, Any]", resolve_data_config(wanted))


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
