"""Data configuration and augmentation, from timm.data."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from collections.abc import Mapping
from typing import Any, cast

from timm.data import create_transform, resolve_data_config
from torchvision import transforms

from nas.errors import TaskError
from nas.registry import nearest
from nas.tasks.images import Normalisation, Transform

#: What a plan may say of augmentation; the values go to ``timm.data.create_transform``.
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
#: Nothing is changed that was not asked for.
_NEUTRAL = {"scale": (1.0, 1.0), "ratio": (1.0, 1.0), "hflip": 0.0, "color_jitter": None}
Augmentation = bool | Mapping[str, Any] | None


def augmentation_settings(requested: Augmentation, default: Mapping[str, Any]) -> dict[str, Any]:
    """What a plan's ``augmentation`` means: ``true`` the task's default, a mapping itself, else nothing.

    Raises:
        TaskError: it is neither, or has a key that timm's transforms have not.
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
    """From an image to ``(C, H, W)`` uint8: shorter side to ``size / crop``, centre cropped."""
    made = create_transform(**_config(input_shape, crop=crop), is_training=False, normalize=False)
    return _of_channels(made, input_shape)


def resize_words(input_shape: tuple[int, int, int], *, crop: float = 1.0) -> str:
    """What ``resizing`` does, for people who run an exported network."""
    size = input_shape[1]
    return f"shorter side to {int(size / crop)} pixels (bilinear, antialiased), then the central {size}×{size}"


def deployed(input_shape: tuple[int, int, int], normalisation: Normalisation, *, crop: float = 1.0) -> Transform:
    """From an image to ``(C, H, W)`` float32 as deployed: resized, cropped, normalised."""
    made = create_transform(**_config(input_shape, normalisation, crop=crop), is_training=False)
    return _of_channels(made, input_shape)


def augmenting(
    input_shape: tuple[int, int, int], normalisation: Normalisation, settings: Mapping[str, Any]
) -> Transform:
    """From an image to ``(C, H, W)`` float32, augmented by ``settings`` (keys of ``AUGMENTATION``).

    Raises:
        TaskError: a value that timm refuses.
    """
    config = _config(input_shape, normalisation) | {"crop_pct": None} | _NEUTRAL | dict(settings)
    try:
        made = create_transform(**config, is_training=True)
    except (AssertionError, TypeError, ValueError, KeyError) as error:
        raise TaskError(
            f"augmentation: {dict(settings)!r} is refused by timm.data.create_transform: {error!r}; "
            "see its documentation for what each key takes"
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
    """Grey images keep their one channel, all others get three."""
    mode = "L" if input_shape[0] == 1 else "RGB"
    return cast("Transform", transforms.Compose([_Mode(mode), transform]))


class _Mode:
    """To one colour mode; a class, so that data loading workers can be sent it."""

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def __call__(self, image: Any) -> Any:
        return image.convert(self.mode)
