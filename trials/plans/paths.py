"""Paths in a plan: which of its values are paths, and to which folder each is relative."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
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
from trials.plans.teachers import TeacherSpec

#: Keys of a plan that contain a name with parameters, or a list of such names → registry of the names.
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
    """A string from the command line; if it is a path, it is relative to the current folder."""


def typed(value: Any) -> Any:
    """Return the value of an override with every string in it as ``Typed``."""
    if isinstance(value, str):
        return Typed(value)
    if isinstance(value, list):
        return [typed(item) for item in value]
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    return value


def make_absolute(data: dict[str, Any], folder: Path) -> None:
    """Make every path in a plan's data absolute, in place.

    ``~`` is the user's home. A ``Typed`` path is relative to the current folder, any other path to ``folder``. The
    attribute ``paths`` of the class of a task, space … lists the parameters that are paths.

    Raises:
        PlanError: a path is invalid, or an entry of ``code`` is not a folder.
    """
    _code(data, folder)
    for final in _listed(data.get("final_training")):
        if isinstance(teacher := final.get("teacher"), str):
            final["teacher"] = with_absolute_weights(teacher, folder)
    for place, key in _places(data):
        value = place.get(key)
        if isinstance(value, str) and value:
            place[key] = absolute(key, value, folder)


def with_absolute_weights(teacher: str, folder: Path) -> str:
    """Return a teacher as in ``final_training.teacher``, with the absolute path of its weights."""
    try:
        spec = TeacherSpec.parse(teacher)
    except ValueError:
        return teacher  # the plan's check reports the problem
    if spec.weights is None:
        return teacher
    text = Typed(spec.weights) if isinstance(teacher, Typed) else spec.weights
    return str(replace(spec, weights=absolute("final_training.teacher", text, folder)))


def paths_read(data: dict[str, Any]) -> dict[str, str]:
    """Return key → path for each file or folder that the workers of a plan read; the paths are absolute.

    The plan's code is not among them, because it is copied to the workers, nor is the root of artifacts.
    """
    found = {}
    for place, key in _places(data):
        value = place.get(key)
        if isinstance(value, str) and value and place is not data.get("artifacts"):
            found[_dotted(data, place, key)] = value
    return found


def _dotted(data: Mapping[str, Any], place: Mapping[str, Any], key: str) -> str:
    """Return the dotted key of a value in ``place``, a part of a plan's data."""
    for first, part in data.items():
        for number, item in enumerate(part if isinstance(part, list) else [part]):
            prefix = f"{first}.{number}" if isinstance(part, list) else first
            if item is place:
                return f"{prefix}.{key}"
            if isinstance(item, dict) and any(inner is place for inner in item.values()):
                return f"{prefix}.{next(name for name, inner in item.items() if inner is place)}.{key}"
    return key


def make_relative(data: dict[str, Any], folder: Path) -> None:
    """Make every path in a plan's data relative to ``folder``, in place; before, it is relative to the current folder.

    Raises:
        PlanError: a path is invalid.
    """
    for place, key in _places(data):
        value = place.get(key)
        if isinstance(value, str) and value:
            place[key] = _relative(key, value, folder)
    if "code" in data:
        data["code"] = [_relative("code", item, folder) for item in data["code"]]


def _relative(key: str, value: str, folder: Path) -> str:
    path = os.path.relpath(absolute(key, Typed(value), folder), folder.resolve())
    return f"./{path}" if path.startswith("~") else path  # without ./ a plan would expand ~ to the user's home


def _code(data: dict[str, Any], folder: Path) -> None:
    code = data.get("code") or []
    if not (isinstance(code, list) and all(isinstance(item, str) for item in code)):
        return  # the plan's check reports the problem
    data["code"] = list(dict.fromkeys(absolute("code", item, folder) for item in code))
    for item in data["code"]:
        if not Path(item).is_dir():
            raise PlanError(f"code: {item} is not a folder; list folders, relative to {folder}")
    append_folders(data["code"])


def _places(data: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield every (mapping, key) of the plan whose value is a path."""
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
    """Yield (spec, key) of the parameters that the named class declares as paths.

    A declaration is ``key``, or ``key:pattern`` if the parameter is a path only if its value matches the pattern.
    """
    try:
        declared = getattr(registry.get(str(spec.get("name"))), "paths", ())
    except (UnknownNameError, MissingPackageError):
        return  # reported when the plan's objects are created
    for entry in declared if isinstance(declared, tuple) else ():
        key, _, pattern = entry.partition(":")
        if fnmatchcase(str(spec.get(key)), pattern or "*"):
            yield spec, key


def absolute(key: str, value: str, folder: Path) -> str:
    """Return the absolute path of a value of a plan in ``folder``.

    Args:
        key: key of the value, for the message.
        value: the path; it is relative to the current folder if it is ``Typed``, else to ``folder``.
        folder: folder of the plan.

    Raises:
        PlanError: the path is invalid.
    """
    base = Path.cwd() if isinstance(value, Typed) else folder
    try:
        path = Path(value).expanduser() if value.startswith("~") else Path(value)  # ./~ is a file name, not a home
        return str((base / path).resolve())
    except (RuntimeError, ValueError, OSError) as error:  # an unknown ~user, a NUL, a loop of links
        raise PlanError(f"{key}: {value!r} is not a valid path ({error}); give a path that exists") from None
