"""Checks of a task's parameters."""

from __future__ import annotations

from typing import Any

from nas.errors import TaskError


def whole(name: str, value: Any, low: int, high: int) -> int:
    """Return ``value`` if it is an integer from ``low`` to ``high``.

    Raises:
        TaskError: ``value`` is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise TaskError(f"{name}: {value!r}; allowed: a whole number from {low} to {high}")
    return value


def share(name: str, value: Any, low: float = 0.0, high: float = 1.0) -> float:
    """Return ``value`` as a float if it is a number from ``low`` to ``high``.

    Raises:
        TaskError: ``value`` is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise TaskError(f"{name}: {value!r}; allowed: a number from {low:g} to {high:g}")
    return float(value)


def flag(name: str, value: Any) -> bool:
    """Return ``value`` if it is a bool.

    Raises:
        TaskError: ``value`` is something else.
    """
    if not isinstance(value, bool):
        raise TaskError(f"{name}: {value!r}; allowed: true or false")
    return value
