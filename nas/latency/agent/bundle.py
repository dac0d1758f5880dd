"""Packs the agent as one file that Python can run, with only the modules that it needs."""

from __future__ import annotations

import ast
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nas
from nas.latency.runtimes import RUNTIMES

ROOT = Path(nas.__file__).parents[1]
#: The agent's main module and the measuring process that the agent starts.
ENTRIES = ("nas.latency.agent.__main__", "nas.latency.process.worker")
FORBIDDEN = frozenset({"torch", "ray"})
_MAIN = "from nas.latency.agent.__main__ import main\n\nmain()\n"
_SHEBANG = b"#!/usr/bin/env python3\n"
#: A fixed date of all files, so that equal sources give equal bundles.
_DATE = (1980, 1, 1, 0, 0, 0)


def write_bundle(path: Path) -> list[str]:
    """Write the bundle and return the paths of the files in it."""
    files = bundled_files()
    with path.open("wb") as raw:
        raw.write(_SHEBANG)
        with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name, text in {"__main__.py": _MAIN, **files}.items():
                bundle.writestr(zipfile.ZipInfo(name, _DATE), text, zipfile.ZIP_DEFLATED)
    path.chmod(0o755)
    return sorted(files)


def bundled_files() -> dict[str, str]:
    """Path in the bundle → text, for all files of this project that the entries and the torch-free runtimes need."""
    runtimes = {location.partition(":")[0] for location in RUNTIMES.table().values()}
    found: dict[str, str] = {}
    for module in (*ENTRIES, *sorted(name for name in runtimes if name.startswith("nas."))):
        reached = _reached(module)
        if not any(_imports(text) & FORBIDDEN for name, text in reached.items() if name.endswith(".py")):
            found.update(reached)
    return dict(sorted(found.items()))


def _reached(start: str) -> dict[str, str]:
    """Path → text of a module and of all modules of this project that it imports, with their packages."""
    pending, found = [start], dict[str, str]()
    while pending:
        module = pending.pop()
        path = _path(module)
        if path is None or (name := path.relative_to(ROOT).as_posix()) in found:
            continue
        found[name] = text = path.read_text()
        if path.name == "__init__.py":
            found |= {data.relative_to(ROOT).as_posix(): data.read_text() for data in _data(path.parent)}
        parents = [module.rpartition(".")[0]] if "." in module else []
        pending += [*parents, *(item for item in _imports(text) if item.partition(".")[0] == "nas")]
    return found


def _data(package: Path) -> Iterator[Path]:
    """A package's data files: descriptions of programs, and C++ sources, which are built on the device."""
    yield from package.glob("*/*.json")
    yield from package.glob("source/*")


def _imports(text: str) -> set[str]:
    """Names that a source imports: modules, attributes (which may be modules too), and their top-level packages."""
    names = set(_named(ast.parse(text)))
    return names | {name.partition(".")[0] for name in names}


def _named(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _path(module: str) -> Path | None:
    """The source file of a module; None if this project has no such module."""
    stem = ROOT.joinpath(*module.split("."))
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)
