"""Checks whether a plan's value matches a parameter's annotation, for numbers, text and booleans."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from contextlib import suppress
from typing import Any

#: Type of a value → the annotations that it matches; integers also match float.
_FITS: dict[type, set[type]] = {type(None): {type(None)}, bool: {bool}, int: {int, float}, float: {float}, str: {str}}
_WORDS = {type(None): "null", bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def misfit(function: Callable[..., Any], parameter: str, value: Any) -> str:
    """The kind of values that ``parameter`` takes, if ``value`` does not match; empty if it does or if unknown."""
    return misfit_of(_hints(function).get(parameter), value)


def misfit_of(annotation: Any, value: Any) -> str:
    """The kind of values that ``annotation`` allows, if ``value`` does not match; empty if it does or if unknown."""
    wanted = _kinds(annotation)
    if not wanted:
        return ""
    given = next((kind for kind in _FITS if kind is type(value)), None)
    given = str if isinstance(value, str) else given
    if given is not None and _FITS[given] & wanted:
        return ""
    if given is float and value.is_integer() and int in wanted:
        return ""
    words = " or ".join(_WORDS[kind] for kind in _WORDS if kind in wanted)
    return f"{words}{_as_number(value) if float in wanted else ''}"


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    target = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]
    with suppress(Exception):  # an annotation may use names that are imported only for type checkers
        return typing.get_type_hints(target)
    return {}


def _kinds(hint: Any) -> set[Any] | None:
    """The scalar types that an annotation allows; None if it allows other types."""
    is_union = typing.get_origin(hint) in (typing.Union, getattr(types, "UnionType", None))  # Python 3.9 lacks it
    kinds = list(typing.get_args(hint)) if is_union else [hint]
    return set(kinds) if all(kind in list(_FITS) for kind in kinds) else None


def _as_number(value: Any) -> str:
    """A hint how to write text that looks like a number; YAML reads 1e-3 as text."""
    with suppress(TypeError, ValueError):
        return f"; write {float(value)!r}" if isinstance(value, str) else ""
    return ""
