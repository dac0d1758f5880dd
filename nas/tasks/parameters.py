"""Checks of a task's parameters: the value, what is allowed, what to do."""

from __future__ import annotations

from typing import Any

from nas.errors import TaskError


def whole(name: str, value: Any, low: int, high: int) -> int:
    """``value`` as an integer of ``low … high``.

    Raises:
        TaskError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise TaskError(f"{name}: {value!r}; allowed: a whole number from {low} to {high}")
    return value


def share(name: str, value: Any, low: float = 0.0, high: float = 1.0) -> float:
    """``value`` as a number of ``low … high``.

    Raises:
        TaskError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise TaskError(f"{name}: {value!r}; allowed: a number from {low:g} to {high:g}")
    return float(value)


def flag(name: str, value: Any) -> bool:
    """``value`` as true or false.

    Raises:
        TaskError: it is neither.
    """
    if not isinstance(value, bool):
        raise TaskError(f"{name}: {value!r}; allowed: true or false")
    return value
