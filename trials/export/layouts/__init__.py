"""Layouts: other forms of an exported folder, for the places where networks are kept."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from nas.errors import UnknownNameError
from nas.registry import nearest

#: Writes the content of an exported folder (first) into an empty folder (second).
Layout = Callable[[Path, Path], None]

LAYOUTS = ("huggingface", "mlflow")


def find_layout(name: str) -> Layout:
    """Return the function ``write_layout`` of the module of this name.

    Raises:
        UnknownNameError: there is no such layout.
    """
    if name not in LAYOUTS:
        known = f"known: {', '.join(LAYOUTS)}"
        raise UnknownNameError(f"no layout {name!r}{nearest(name, LAYOUTS, known)}")
    found: Layout = import_module(f"{__name__}.{name}").write_layout
    return found
