"""Paths in a plan: which of its values are paths, and what each is relative to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from nas.errors import MissingPackageError, PlanError, UnknownNameError
from nas.estimators import ESTIMATORS
from nas.export import EXPORTERS
from nas.import_path import append_folders
from nas.latency.runtimes import RUNTIMES
from nas.registry import Registry
from nas.space.policy import POLICIES
from nas.strategies import STRATEGIES
from nas.tasks import TASKS
from search_spaces import SPACES

#: Keys of a plan that hold a name with parameters, or a list of these.
_NAMED: Mapping[str, Registry[Any]] = {
    "task": TASKS,
    "space": SPACES,
    "policies": POLICIES,
    "references": SPACES,
    "strategy": STRATEGIES,
    "estimator": ESTIMATORS,
    "exporter": EXPORTERS,
}
_OF_TARGETS = ("token_file", "tls_ca")


class Typed(str):
    """A string that was typed on the command line: as a path, it is relative to the current folder."""


def typed(value: Any) -> Any:
    """A value of an override with every string in it marked as ``Typed``."""
    if isinstance(value, str):
        return Typed(value)
    if isinstance(value, list):
        return [typed(item) for item in value]
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    return value


def make_absolute(data: dict[str, Any], folder: Path) -> None:
    """Make every path in a plan's data absolute, in place.

    ``~`` is the user's home. A ``Typed`` path is relative to the current folder, any other to ``folder``. Which
    parameters of a task, space … are paths, its class says in ``paths``.

    Raises:
        PlanError: a path that no file can have, or ``code`` names something that is no folder.
    """
    _code(data, folder)
    for place, key in _places(data):
        value = place.get(key)
        if isinstance(value, str) and value:
            place[key] = absolute(key, value, folder)


def make_relative(data: dict[str, Any], folder: Path) -> None:
    """Make every path in a plan's data relative to ``folder``, in place; until now, paths are as they were typed.

    Raises:
        PlanError: a path that no file can have.
    """
    for place, key in _places(data):
        value = place.get(key)
        if isinstance(value, str) and value:
            place[key] = _relative(key, value, folder)
    if "code" in data:
        data["code"] = [_relative("code", item, folder) for item in data["code"]]


def _relative(key: str, value: str, folder: Path) -> str:
    path = os.path.relpath(absolute(key, Typed(value), folder), folder.resolve())
    return f"./{path}" if path.startswith("~") else path  # a plan reads ~ as the user's home


def _code(data: dict[str, Any], folder: Path) -> None:
    code = data.get("code") or []
    if not (isinstance(code, list) and all(isinstance(item, str) for item in code)):
        return  # the plan's check says what is wrong
    data["code"] = list(dict.fromkeys(absolute("code", item, folder) for item in code))
    for item in data["code"]:
        if not Path(item).is_dir():
            raise PlanError(f"code: {item} is not a folder; list folders, relative to {folder}")
    append_folders(data["code"])


def _places(data: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Every (mapping, key) of the plan whose value is a path."""
    for key, registry in _NAMED.items():
        for item in _listed(data.get(key)):
            yield from _declared(item, registry)
    for target in _listed(data.get("targets")):
        yield from ((target, key) for key in _OF_TARGETS if key in target)
        if not target.get("address"):  # a device resolves its own paths
            for runtime in _listed(target.get("runtime")):
                yield from _declared(runtime, RUNTIMES)
    for artifacts in _listed(data.get("artifacts")):
        if "://" not in str(artifacts.get("root", "")):
            yield artifacts, "root"


def _listed(value: Any) -> list[dict[str, Any]]:
    items: Iterable[Any] = value if isinstance(value, list | tuple) else [value]
    return [item for item in items if isinstance(item, dict)]


def _declared(spec: dict[str, Any], registry: Registry[Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Parameters of a name with parameters that its class declares as paths: ``name``, or ``name:pattern``."""
    try:
        declared = getattr(registry.get(str(spec.get("name"))), "paths", ())
    except (UnknownNameError, MissingPackageError):
        return  # said where the plan's objects are made
    for entry in declared if isinstance(declared, tuple) else ():
        key, _, pattern = entry.partition(":")
        if fnmatchcase(str(spec.get(key)), pattern or "*"):
            yield spec, key


def absolute(key: str, value: str, folder: Path) -> str:
    """A path of a plan in ``folder``, absolute; ``key`` is named in the message.

    Raises:
        PlanError: no file can have that path.
    """
    base = Path.cwd() if isinstance(value, Typed) else folder
    try:
        path = Path(value).expanduser() if value.startswith("~") else Path(value)  # ./~ is a name and no home
        return str((base / path).resolve())
    except (RuntimeError, ValueError, OSError) as error:  # an unknown ~user, a NUL, a loop of links
        raise PlanError(f"{key}: {value!r} can't be a path ({error}); give one that exists") from None
