"""Folders of the user's own code, at the end of the import path: no file there stands for a library's module."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

#: Environment variable by which a process tells one that it starts what to append.
APPENDED = "MEASURED_NAS_CODE"


def append_folders(folders: Sequence[str]) -> None:
    """Make the modules in ``folders`` importable, of two of one name the first one's."""
    for folder in map(os.path.abspath, folders):
        if folder not in sys.path:
            sys.path.append(folder)


def append_inherited() -> None:
    """Append what the process that started this one wrote into its environment."""
    append_folders([folder for folder in os.environ.get(APPENDED, "").split(os.pathsep) if folder])


def inheritable() -> dict[str, str]:
    """Environment variables that give a process this one's import path, each folder on its side of the libraries."""
    libraries = (sys.prefix, sys.base_prefix)
    first = next((place for place, path in enumerate(sys.path) if path.startswith(sys.base_prefix)), len(sys.path))
    before, after = (
        [os.path.abspath(path) for path in part if path and not path.startswith(libraries)]
        for part in (sys.path[:first], sys.path[first:])
    )
    return {"PYTHONPATH": os.pathsep.join(before), APPENDED: os.pathsep.join(after)}
