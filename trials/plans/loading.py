"""A plan from its file, with overrides and absolute paths."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas.errors import PlanError
from trials.plans.paths import make_absolute, typed
from trials.plans.plan import Plan, make_plan
from trials.plans.text import MAX_LEVELS, parse, read_text
from trials.plans.values import short


def load_plan(path: Path, overrides: Sequence[str] = ()) -> Plan:
    """Read a plan file and apply ``key=value`` overrides (dots descend, numbers index lists; values are YAML).

    Paths come back absolute: those of the file relative to its folder, those of overrides to the current one. Of
    ``code``, the plan's own folder is first.

    Raises:
        PlanError: no such file, a folder, no mapping, an unknown key (with the nearest known one), a bad value.
    """
    return plan_in(read_text(path), path, overrides)


def plan_in(text: str, path: Path, overrides: Sequence[str] = ()) -> Plan:
    """The plan that ``load_plan`` returns for a file ``path`` that holds ``text``; the file need not exist.

    Raises:
        PlanError: as ``load_plan``.
    """
    data = _read_yaml(text, path)
    for override in overrides:
        apply_override(data, override)
    folder = path.resolve().parent
    if isinstance(code := data.get("code") or [], list):
        data["code"] = [str(folder), *code]
    make_absolute(data, folder)
    return make_plan(data)


def with_absolute_paths(plan: Plan) -> Plan:
    """The same plan with paths that mean the same in every folder; now they are relative to the current one."""
    data = plan.to_json()
    make_absolute(data, Path.cwd())
    return make_plan(data)


def _read_yaml(text: str, path: Path) -> dict[str, Any]:
    data = parse(text, str(path))
    if not isinstance(data, dict):
        raise PlanError(f"{path} holds {type(data).__name__}, not keys and values; see examples/digits.yaml")
    return data


def apply_override(data: dict[str, Any], override: str) -> None:
    """Set what ``key=value`` says in a plan's data.

    Raises:
        PlanError: it is not of that form, or the key leads nowhere.
    """
    key, equals, text = override.partition("=")
    *path, last = key.split(".")
    if not equals or not all((*path, last)) or len(path) > MAX_LEVELS:
        raise PlanError(f"override {short(override)}: write key=value, as in budget.trials=8")
    place: Any = data
    for part in path:
        place = _step(place, part, key)
    value = typed(parse(text, f"override {short(override)}: the value"))
    if isinstance(place, list):
        place[_index(place, last, key)] = value
    elif isinstance(place, dict):
        if last == "name" and place.get("name") != value and path:
            place.clear()  # parameters of another name do not carry over
        place[last] = value
    else:
        raise PlanError(f"override {short(override)}: {'.'.join(path)} is {short(place)}, which has no {last!r}")


def _step(place: Any, part: str, key: str) -> Any:
    if isinstance(place, list):
        return place[_index(place, part, key)]
    if not isinstance(place, dict):
        raise PlanError(f"override {key!r}: {short(place)} has no {part!r}")
    if place.get(part) is None:
        place[part] = {}
    if part == "targets" and not isinstance(place[part], list):
        raise PlanError(f"override {key!r}: the plan lists no targets; write targets=[{{name: local, …}}]")
    return place[part]


def _index(place: list[Any], part: str, key: str) -> int:
    if not (part.isascii() and part.isdecimal() and len(part) < 9) or int(part) >= len(place):
        raise PlanError(f"override {key!r}: {part!r} is no index of a list of {len(place)}")
    return int(part)
