"""Patterns of dotted names, as a plan lists them: ``layer1.*``, ``*.conv``."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from nas.errors import PlanError
from nas.registry import nearest

#: Most names that a message lists.
_LISTED = 5


def name_patterns(key: str, patterns: Sequence[str]) -> tuple[str, ...]:
    """Check and return the patterns under ``key`` of a plan.

    Raises:
        PlanError: the value is not a list of strings.
    """
    if isinstance(patterns, str) or not all(isinstance(pattern, str) for pattern in patterns):
        raise PlanError(f"{key}: {patterns!r}; allowed: a list of name patterns, [layer1.*, fc]")
    return tuple(patterns)


def matching(key: str, patterns: Sequence[str], names: Sequence[str]) -> list[str]:
    """The names that at least one of the patterns matches (``fnmatch``), in their order.

    Raises:
        PlanError: a pattern matches no name.
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise PlanError(f"{key}: {pattern!r} matches none of {some(names)}{nearest(pattern, names)}")
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def some(names: Sequence[str]) -> str:
    """The first names as text, with the number of further names."""
    rest = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
