"""The user's own code: the Python files that travel to the nodes of a cluster."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path


def python_files(code: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Yield (name on a node, file) of the Python files in folders of code, without hidden folders.

    Folder number 0 is called ``code0`` there, and so on.
    """
    for number, source in enumerate(code):
        for file in sorted(Path(source).rglob("*.py")):
            inside = file.relative_to(source)
            if not any(part.startswith(".") for part in inside.parts):
                yield f"code{number}/{inside}", file


def copy_code(code: Sequence[str], folder: Path) -> list[str]:
    """Copy the Python files of the user's folders into ``folder``; return the copies' paths relative to it."""
    names = [f"code{number}" for number in range(len(code))]
    for name in names:
        (folder / name).mkdir(parents=True)
    for name, file in python_files(code):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return names
