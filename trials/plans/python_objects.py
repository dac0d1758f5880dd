"""Replace classes and functions in a plan written in Python with import paths, which a plan can store."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

from nas.errors import PlanError

#: ``module:attribute``, with which a plan names the user's own code.
_IMPORT_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
#: Packages of this project, which workers can always import.
_OWN = ("nas", "search_spaces", "trials", "measured_nas")


def with_import_paths(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan's data with every class and function replaced by ``module:attribute``.

    The folders of their modules are appended to ``code``, so that workers find them. If the key ``code`` is missing and
    the plan names the user's own code, the current folder is added, too.

    Raises:
        PlanError: workers could not import a class or function: it is defined in a notebook, in the script that is
            run, or inside a function.
    """
    folders: list[str] = []
    replaced = {key: _replaced(value, folders) for key, value in data.items()}
    if "code" not in replaced and any(map(_is_own_code, _texts(replaced))):
        folders.insert(0, str(Path.cwd()))
    code = replaced.get("code", [])
    if folders and isinstance(code, list):
        replaced["code"] = list(dict.fromkeys([*code, *folders]))
    return replaced


def _replaced(value: Any, folders: list[str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _replaced(item, folders) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(item, folders) for item in value]
    if isinstance(value, type | FunctionType):
        folders.extend(_folder(value))
        return f"{value.__module__}:{value.__qualname__}"
    return value


def _folder(value: type | FunctionType) -> Iterator[str]:
    """Yield the folder that workers need on their import path to import the object; nothing for installed packages."""
    kind = "class" if isinstance(value, type) else "function"
    if value.__module__ == "__main__" or "." in value.__qualname__:
        raise PlanError(
            f"the {kind} {value.__name__} is defined in a notebook, in the running script, or inside a function, so "
            "worker processes can't import it; move it to the top level of a file, for example "
            f"{value.__name__.lower()}.py, and import it from there"
        )
    package, *below = value.__module__.split(".")
    file = getattr(sys.modules.get(value.__module__), "__file__", None)
    if file is None or package in _OWN:
        return
    path = Path(file).resolve()
    depth = len(below) + (path.name == "__init__.py")
    folder = path.parents[depth]
    if not any(folder.is_relative_to(Path(prefix).resolve()) for prefix in (sys.prefix, sys.base_prefix)):
        yield str(folder)


def _is_own_code(text: str) -> bool:
    return bool(_IMPORT_PATH.fullmatch(text)) and text.partition(".")[0] not in _OWN


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value
