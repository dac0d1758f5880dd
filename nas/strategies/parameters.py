"""Checks of the numbers that a plan gives to a strategy."""

from __future__ import annotations

import math
from typing import Any

from nas.errors import PlanError


def check_whole(strategy: str, name: str, value: Any, least: int) -> None:
    """Raise PlanError unless ``value`` is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise PlanError(f"strategy {strategy}: {name}={value!r}; need a whole number of at least {least}")


def check_probability(strategy: str, name: str, value: Any) -> None:
    """Raise PlanError unless ``value`` is a number from 0 to 1."""
    number = not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
    if not number or not 0 <= value <= 1:
        raise PlanError(f"strategy {strategy}: {name}={value!r}; need a number from 0 to 1")
