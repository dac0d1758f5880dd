"""Adds folders of the user's code to the end of the import path, so that they hide no module of a library."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

#: Environment variable with the folders that a child process appends to its import path.
APPENDED = "MEASURED_NAS_CODE"
#: Folder of this project's packages. An editable install finds them only after all folders of the import path.
_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def append_folders(folders: Sequence[str]) -> None:
    """Make the modules in ``folders`` importable, unless an earlier folder, a library or this project has the name."""
    for folder in [_HOME, *map(os.path.abspath, folders)]:
        if folder not in sys.path:
            sys.path.append(folder)


def append_inherited() -> None:
    """Append the folders that the parent process passed in the environment."""
    append_folders([folder for folder in os.environ.get(APPENDED, "").split(os.pathsep) if folder])


def inheritable() -> dict[str, str]:
    """Environment variables that give a child process this import path, with folders before and after the libraries."""
    libraries = (sys.prefix, sys.base_prefix)
    first = next((place for place, path in enumerate(sys.path) if path.startswith(sys.base_prefix)), len(sys.path))
    before, after = (
        [os.path.abspath(path) for path in part if path and not path.startswith(libraries)]
        for part in (sys.path[:first], sys.path[first:])
    )
    return {"PYTHONPATH": os.pathsep.join(before), APPENDED: os.pathsep.join(after)}
