"""Reads an image file as 8-bit RGB; metadata that affects its look is applied, or mentioned in a note."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from nas.errors import TaskError

#: Suffixes of image files that can be read.
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".ppm", ".pgm", ".pbm", ".pnm"),
    *(".bmp", ".dib", ".tif", ".tiff", ".webp", ".gif"),
)
#: Suffixes of images that can't be read. Such files are faults, because leaving them out would lose data.
FOREIGN = (
    *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".psd", ".exr", ".dcm", ".svg"),
    *(".raw", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".tga"),
)
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


class Note(StrEnum):
    """Remarks about files with more than plain 8-bit pixels; each completes the sentence "N images …"."""

    TURNED = "were turned upright as their EXIF orientation says"
    ON_WHITE = "have transparency and were laid on white"
    DEEP = "have more than 8 bits a channel and were scaled to 8"
    FRAMES = "have several frames or pages, of which the first is used"
    CMYK = "are in CMYK and were converted without their colour profile"
    PROFILE = "have a colour profile other than sRGB, which is not applied"


#: Notes that mean that the pixels differ from those of a plain conversion to RGB.
CHANGES_PIXELS = frozenset({Note.TURNED, Note.ON_WHITE, Note.DEEP})


@dataclass(frozen=True)
class Decoded:
    """An upright, opaque RGB image.

    Attributes:
        image: the image.
        notes: remarks about the file.
        peak: largest value of a file with more than 8 bits per channel, before scaling; None for other files.
    """

    image: Image.Image
    notes: tuple[Note, ...] = ()
    peak: float | None = None


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress Pillow's warnings about large images and damaged metadata; not safe to enter from several threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_image(path: Path, white: float | None = None) -> Decoded:
    """Decode a file completely.

    Args:
        path: the file.
        white: value of white in files with more than 8 bits per channel. By default 65,535 in 16-bit files, and 1 in
            floating-point files with values from 0 to 1.

    Raises:
        TaskError: the file can't be used; the message gives the reason, but not the file's name.
    """
    try:
        with Image.open(path) as image:
            return _decoded(image, white)
    except TaskError:
        raise
    except UnidentifiedImageError:
        raise TaskError("its content is not a readable image") from None
    except Image.DecompressionBombError:
        max_pixels = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise TaskError(f"it claims to have more than {max_pixels:,} pixels; scale it down") from None
    except Exception as error:  # decoders raise errors of every kind on damaged files
        raise TaskError(f"it can't be decoded ({type(error).__name__}: {_short(error)})") from error


def shown(path: Path | str) -> str:
    """A path as text that can be printed and stored, for any bytes in its name."""
    text = str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _decoded(image: Image.Image, white: float | None) -> Decoded:
    notes = [Note.FRAMES] if getattr(image, "n_frames", 1) > 1 and image.format != "MPO" else []
    image.seek(0)
    image.load()
    if _has_foreign_profile(image):
        notes.append(Note.CMYK if image.mode == "CMYK" else Note.PROFILE)
    elif image.mode == "CMYK":
        notes.append(Note.CMYK)
    turn = _TURNS.get(_orientation(image))
    peak = None
    if image.mode == "F" or image.mode.startswith("I"):
        plain, peak = _scaled(image, white)
        notes.append(Note.DEEP)
    else:
        plain = _opaque(image, notes)
    if turn is not None:
        plain = plain.transpose(turn)
        notes.append(Note.TURNED)
    return Decoded(plain, tuple(notes), peak)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged metadata says nothing about the pixels
        return 1


def _opaque(image: Image.Image, notes: list[Note]) -> Image.Image:
    if image.mode not in ("RGBA", "RGBa", "LA", "La", "PA") and "transparency" not in image.info:
        return image.convert("RGB")
    whole = {"La": "LA", "RGBa": "RGBA"}.get(image.mode, image.mode)
    clear = image.convert(whole).convert("RGBA")
    if clear.getchannel("A").getextrema() == (255, 255):
        return clear.convert("RGB")
    notes.append(Note.ON_WHITE)
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")


def _scaled(image: Image.Image, white: float | None) -> tuple[Image.Image, float]:
    values = np.asarray(image).astype(np.float64)
    low, peak = float(values.min()), float(values.max())
    if not np.isfinite(values).all():
        raise TaskError("some of its pixels are not finite numbers")
    limit = white or _white_of(image, low, peak)
    if low < 0 or limit is None:
        kind = "floating-point" if image.mode == "F" else "whole"
        raise TaskError(
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


def _has_foreign_profile(image: Image.Image) -> bool:
    profile = image.info.get("icc_profile")
    if not profile:
        return False
    try:
        return "srgb" not in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(profile))).lower()
    except Exception:  # a damaged profile can't be applied either
        return True


def _short(error: Exception) -> str:
    return textwrap.shorten(str(error), 160, placeholder=" …")
