"""Check that Python finds this distribution's packages; other packages may have names like ``trials``, too."""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec

#: Internal packages, installed beside this one.
PACKAGES = ("nas", "search_spaces", "trials", "dashboard")
_MARK = b'__distribution__ = "measured-nas"'
_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@cache
def check_packages() -> None:
    """Check that each internal package lies beside this one and belongs to this distribution, without importing it.

    Raises:
        ImportError: a package is incomplete, or another package of the same name is found first or has overwritten it.
    """
    for name in PACKAGES:
        if problem := _problem(name):
            raise ImportError(f"measured-nas can't start: {problem}")


def _problem(name: str) -> str:
    expected = os.path.join(_HOME, name, "__init__.py")
    if not os.path.isfile(expected):
        return f"its package {name!r} is incomplete, because {expected} is missing; {_reinstall(name)}"
    with open(expected, "rb") as file:
        if _MARK not in file.read():
            return f"another package {name!r} has overwritten its own, {expected}; {_reinstall(name)}"
    found = _found(name)
    if found is None or not os.path.samefile(found, expected):
        return (
            f"Python finds another package {name!r} ({found or 'without a file'}) before its own, {expected}; "
            f"{_owners(name) or 'rename it'}, or install measured-nas in an environment of its own"
        )
    return ""


def _found(name: str) -> str | None:
    """Return the file that importing a package would run, or None if there is none."""
    try:
        spec = find_spec(name)
    except ValueError:  # a module created at run time, which has no spec
        return None
    return spec.origin if spec is not None and spec.origin and os.path.exists(spec.origin) else None


def _reinstall(name: str) -> str:
    first = _owners(name)
    command = "pip install --force-reinstall --no-deps measured-nas"
    return f"{first}, then {command}" if first else command


def _owners(name: str) -> str:
    """Return the ``pip uninstall`` command for other distributions that have a package of this name."""
    from importlib.metadata import packages_distributions

    others = sorted(set(packages_distributions().get(name, [])) - {"measured-nas"})
    return f"pip uninstall {' '.join(others)}" if others else ""
