"""Replace absolute paths of this machine by names, in files that leave it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

#: Suffixes of the text files of an export that may contain paths.
_TEXTS = (".html", ".json", ".md", ".yaml")
#: An absolute path as the value of a key in a text, as in ``timm:resnet50,weights=/data/resnet50.safetensors``.
_VALUE = re.compile(r"=(/[^,]+)")


def hide_paths(folder: Path, values: list[Any]) -> None:
    """Replace each absolute path that occurs in ``values`` by its last name, in all text files of ``folder``.

    Args:
        folder: the folder to change.
        values: JSON values, such as a plan.
    """
    names = {form: _name(form) for path in _paths(values) for form in {path, html.escape(path), json.dumps(path)[1:-1]}}
    if not names:
        return
    longest_first = sorted(map(re.escape, names), key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w./-])(?:{'|'.join(longest_first)})(?![\w-])")
    for path in folder.rglob("*"):
        if path.suffix in _TEXTS and path.is_file():
            text = path.read_text(encoding="utf-8")
            path.write_text(pattern.sub(lambda found: names[found.group()], text), encoding="utf-8")


def _name(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _paths(value: Any) -> Iterator[str]:
    """Absolute paths in JSON values."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _paths(item)
    elif isinstance(value, str):
        found = [value] if PurePath(value).is_absolute() else _VALUE.findall(value)
        yield from (path for path in found if _name(path))
