"""The rule for names of studies, which all plans, options, baselines, companions and Python functions follow."""

from __future__ import annotations

import re

from nas.errors import StudyError

LONGEST_NAME = 200
_ALLOWED = re.compile(r"[A-Za-z0-9_.-]+")


def name_problem(name: str) -> str | None:
    """The reason why a study can't have a name; None if it can."""
    if not 0 < len(name) <= LONGEST_NAME:
        return f"a study's name has 1 to {LONGEST_NAME} characters, this one has {len(name)}: {name[:40]!r}…"
    if not _ALLOWED.fullmatch(name):
        return f"a study's name consists of letters A to Z, digits, '_', '.' and '-', without spaces; got {name!r}"
    if name.startswith("-") or not name.strip("."):
        return f"a study's name can't start with '-' or consist of dots alone; got {name!r}"
    return None


def check_name(name: str) -> None:
    """Raise StudyError if a study can't have this name."""
    if problem := name_problem(name):
        raise StudyError(problem)
