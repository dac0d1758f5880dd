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

from PIL import Image, ImageCms, UnidentifiedImageError

from nas.errors import TaskError
from nas.tasks.preparation import UnreadableImageError, decoded

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
class ReadImage:
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


def read_image(path: Path, white: float | None = None) -> ReadImage:
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
            return _read(image, white)
    except UnreadableImageError as error:
        raise TaskError(str(error)) from error
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


def _read(image: Image.Image, white: float | None) -> ReadImage:
    notes = [Note.FRAMES] if getattr(image, "n_frames", 1) > 1 and image.format != "MPO" else []
    image.seek(0)
    image.load()
    if _has_foreign_profile(image):
        notes.append(Note.CMYK if image.mode == "CMYK" else Note.PROFILE)
    elif image.mode == "CMYK":
        notes.append(Note.CMYK)
    found = decoded(image, white)
    return ReadImage(found.image, (*notes, *(Note[change] for change in found.changes)), found.peak)


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
