"""The rule for names of studies and of imported networks, the same in plans, options and Python functions."""

from __future__ import annotations

import re

from nas.errors import StudyError

LONGEST_NAME = 200
_ALLOWED = re.compile(r"[A-Za-z0-9_.-]+")


def name_problem(name: str, of: str = "study") -> str | None:
    """The reason why a study, or what ``of`` says, can't have a name; None if it can."""
    if not 0 < len(name) <= LONGEST_NAME:
        return f"a {of}'s name has 1 to {LONGEST_NAME} characters, this one has {len(name)}: {name[:40]!r}…"
    if not _ALLOWED.fullmatch(name):
        return f"a {of}'s name consists of letters A to Z, digits, '_', '.' and '-', without spaces; got {name!r}"
    if name.startswith("-") or not name.strip("."):
        return f"a {of}'s name can't start with '-' or consist of dots alone; got {name!r}"
    return None


def check_name(name: str, of: str = "study") -> None:
    """Raise StudyError if a study, or what ``of`` says, can't have this name."""
    if problem := name_problem(name, of):
        raise StudyError(problem)
