"""From an image file to the input of a network: decoded, resized, cropped and normalized.

An exported folder contains a copy of this file, which needs only numpy and Pillow. The tasks use the same functions, so
that a network gets the same numbers wherever it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

#: Value of white in a 16-bit file.
WHITE_16 = 65_535.0
#: EXIF orientation → the operation that turns the image upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112
_PHOTOMETRIC = 262


class UnreadableImageError(ValueError):
    """An image can't be used; the message gives the reason."""


class Decoded(NamedTuple):
    """An upright, opaque RGB image.

    Attributes:
        image: the image.
        changes: what was done to the pixels: ``DEEP`` (scaled to 8 bits), ``ON_WHITE`` (transparency), ``TURNED``.
        peak: largest value of a file with more than 8 bits per channel, before scaling; None for other files.
    """

    image: Image.Image
    changes: tuple[str, ...] = ()
    peak: float | None = None


def prepare_file(path: str | Path, steps: Mapping[str, Any]) -> np.ndarray:
    """Read an image file and return the input ``(1, C, H, W)`` float32 of a network.

    Args:
        path: the file.
        steps: content of ``preprocessing.json``.

    Raises:
        UnreadableImageError, OSError: the file is not a usable image.
    """
    with Image.open(path) as image:
        image.seek(0)
        image.load()
        pixels = resized(decoded(image, steps.get("white")).image, steps)
    return normalized(pixels[None], steps)


def decoded(image: Image.Image, white: float | None = None) -> Decoded:
    """Turn an image upright as EXIF says, lay transparency on white, and convert it to 8-bit RGB.

    Args:
        image: a loaded image; the current frame is used.
        white: value of white in files with more than 8 bits per channel. By default 65,535 in 16-bit files, and 1 in
            floating-point files with values from 0 to 1.

    Raises:
        UnreadableImageError: the format does not say which value is white.
    """
    changes, peak = [], None
    turn = _TURNS.get(_orientation(image))
    if image.mode == "F" or image.mode.startswith("I"):
        plain, peak = _scaled(image, white)
        changes.append("DEEP")
    else:
        plain, is_clear = _opaque(image)
        changes += ["ON_WHITE"] if is_clear else []
    if turn is not None:
        plain = plain.transpose(turn)
        changes.append("TURNED")
    return Decoded(plain, tuple(changes), peak)


def resized(image: Image.Image, steps: Mapping[str, Any]) -> np.ndarray:
    """Convert an 8-bit image to the network's channels, resize and crop it: pixels ``(H, W, C)`` uint8."""
    image = image.convert(steps["channels"])
    if "resize" in steps:
        image = image.resize(_size(image.size, steps["resize"]["shorter_side"]), Image.Resampling.BILINEAR)
    if "crop" in steps:
        width, height = steps["crop"]["width"], steps["crop"]["height"]
        left, top = round((image.width - width) / 2), round((image.height - height) / 2)
        image = image.crop((left, top, left + width, top + height))
    return np.atleast_3d(np.asarray(image))


def normalized(pixels: np.ndarray, steps: Mapping[str, Any]) -> np.ndarray:
    """Convert pixels ``(N, H, W, C)`` uint8 to inputs ``(N, C, H, W)`` float32."""
    mean, std = (np.asarray(steps[name], dtype=np.float32) for name in ("mean", "std"))
    scale = np.float32(1) / (np.float32(steps["divide_by"]) * std)
    found = pixels.astype(np.float32) * scale + -mean / std
    return np.ascontiguousarray(found.transpose(0, 3, 1, 2))


def _size(size: tuple[int, int], shorter: int) -> tuple[int, int]:
    """Width and height whose shorter one is ``shorter``; the longer one is rounded down."""
    width, height = size
    if width <= height:
        return shorter, int(shorter * height / width)
    return int(shorter * width / height), shorter


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged metadata says nothing about the pixels
        return 1


def _opaque(image: Image.Image) -> tuple[Image.Image, bool]:
    """The image in RGB, and whether a part of it was transparent."""
    if image.mode not in ("RGBA", "RGBa", "LA", "La", "PA") and "transparency" not in image.info:
        return image.convert("RGB"), False
    whole = {"La": "LA", "RGBa": "RGBA"}.get(image.mode, image.mode)
    clear = image.convert(whole).convert("RGBA")
    if clear.getchannel("A").getextrema() == (255, 255):
        return clear.convert("RGB"), False
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB"), True


def _scaled(image: Image.Image, white: float | None) -> tuple[Image.Image, float]:
    values = np.asarray(image).astype(np.float64)
    low, peak = float(values.min()), float(values.max())
    if not np.isfinite(values).all():
        raise UnreadableImageError("some of its pixels are not finite numbers")
    limit = white or _white_of(image, low, peak)
    if low < 0 or limit is None:
        kind = "floating-point" if image.mode == "F" else "whole"
        raise UnreadableImageError(
            f"its pixels are {kind} numbers from {low:g} to {peak:g}, and the format does not say which value is "
            "white; set white: in the task (values from 0 to white are scaled), or convert the file to 8 or 16 bits"
        )
    share = np.clip(values / limit, 0, 1)
    if getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0:  # white is zero
        share = 1 - share
    return Image.fromarray(np.rint(share * 255).astype(np.uint8)).convert("RGB"), peak


def _white_of(image: Image.Image, low: float, peak: float) -> float | None:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return WHITE_16
    return 1.0 if image.mode == "F" and low >= 0 and peak <= 1 else None
