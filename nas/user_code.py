"""Describes exceptions of the user's code: the exception, and its place in the user's file."""

from __future__ import annotations

import sys
import traceback
from types import FrameType

#: Packages whose frames are skipped in the search for the user's line.
_OURS = frozenset({"nas", "search_spaces", "trials", "dashboard", "torch", "torchvision", "timm"})


def describe_error(error: BaseException) -> str:
    """Type and first line of an exception, with its place: ``KeyError: 'x' (/home/me/net.py:12, in forward)``."""
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    place = place_of(error)
    return f"{text} ({place})" if place else text


def place_of(error: BaseException) -> str:
    """``file:line, in function`` of the innermost frame of the user's code; empty if there is none."""
    found = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        if _is_of_user(frame):
            found = f"{frame.f_code.co_filename}:{line}, in {frame.f_code.co_name}"
    if not found and error.__cause__ is not None:
        return place_of(error.__cause__)
    return found


def _is_of_user(frame: FrameType) -> bool:
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    file = frame.f_code.co_filename
    installed = file.startswith("<") or "site-packages" in file
    return not installed and package not in _OURS and package not in sys.stdlib_module_names
