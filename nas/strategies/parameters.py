"""Checks of the values that a plan gives to a strategy."""

from __future__ import annotations

import math
from typing import Any

from nas.errors import PlanError
from nas.proxies import PROXIES


def check_whole(strategy: str, name: str, value: Any, least: int) -> None:
    """Raise PlanError unless ``value`` is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise PlanError(f"strategy {strategy}: {name}={value!r}; need a whole number of at least {least}")


def check_probability(strategy: str, name: str, value: Any) -> None:
    """Raise PlanError unless ``value`` is a number from 0 to 1."""
    number = not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
    if not number or not 0 <= value <= 1:
        raise PlanError(f"strategy {strategy}: {name}={value!r}; need a number from 0 to 1")


def check_proxies(strategy: str, names: Any) -> tuple[str, ...]:
    """Return the names of proxies.

    Raises:
        PlanError, UnknownNameError: ``names`` is not a list of different names, or a proxy does not exist.
    """
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        known = ", ".join(PROXIES.names())
        raise PlanError(
            f"strategy {strategy}: proxies={names!r}; need a list of names, such as [synflow]; known: {known}"
        )
    for name in names:
        PROXIES.get(name)
    if len(set(names)) < len(names):
        raise PlanError(f"strategy {strategy}: proxies={list(names)!r}; name each proxy once")
    return tuple(names)
