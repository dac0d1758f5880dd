"""Load a plan from its file, apply overrides, and make its paths absolute."""

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
    """Read a plan file and apply ``key=value`` overrides.

    In ``key``, dots lead into nested keys and numbers index lists; ``value`` is YAML. The returned plan has absolute
    paths: paths in the file are relative to its folder, paths in overrides to the current folder. The plan's folder
    becomes the first entry of ``code``.

    Raises:
        PlanError: the file does not exist, is a folder or does not contain a mapping, a key is unknown (the message
            suggests the most similar one), or a value is not allowed.
    """
    return plan_in(read_text(path), path, overrides)


def plan_in(text: str, path: Path, overrides: Sequence[str] = ()) -> Plan:
    """Return the plan that ``load_plan`` would return for a file ``path`` with this text; the file need not exist.

    Raises:
        PlanError: see ``load_plan``.
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
    """Return the plan with absolute paths; paths of the given plan are relative to the current folder."""
    data = plan.to_json()
    make_absolute(data, Path.cwd())
    return make_plan(data)


def _read_yaml(text: str, path: Path) -> dict[str, Any]:
    data = parse(text, str(path))
    if not isinstance(data, dict):
        raise PlanError(f"{path} holds a {type(data).__name__} instead of keys and values; see examples/digits.yaml")
    return data


def apply_override(data: dict[str, Any], override: str) -> None:
    """Apply one override ``key=value`` to a plan's data, in place.

    Raises:
        PlanError: the override does not have this form, or the key does not lead to a value.
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
            place.clear()  # the parameters belong to the previous name
        place[last] = value
    else:
        raise PlanError(
            f"override {short(override)}: {'.'.join(path)} is {short(place)}, which has no key {last!r}; see "
            "docs/reference/plan.md for the keys"
        )


def _step(place: Any, part: str, key: str) -> Any:
    if isinstance(place, list):
        return place[_index(place, part, key)]
    if not isinstance(place, dict):
        raise PlanError(
            f"override {key!r}: {short(place)} has no key {part!r}; see docs/reference/plan.md for the keys"
        )
    if place.get(part) is None:
        place[part] = {}
    if part == "targets" and not isinstance(place[part], list):
        raise PlanError(f"override {key!r}: the plan has no list of targets; write targets=[{{name: local, …}}]")
    return place[part]


def _index(place: list[Any], part: str, key: str) -> int:
    if not (part.isascii() and part.isdecimal() and len(part) < 9) or int(part) >= len(place):
        raise PlanError(
            f"override {key!r}: {part!r} is not an index of a list of {len(place)} items; indices start at 0"
        )
    return int(part)
