"""What a search space asks, in a few rows: places that ask alike together."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from nas.space import Question, SearchSpace
from nas.space.chooser import PositionChooser
from nas.space.sampling import Searched
from nas.tasks import Task


def choices_of(space: SearchSpace, task: Task) -> list[dict[str, Any]]:
    """``choice, places, ordered, options`` of every question of a space on a task, JSON values.

    Questions of one pattern (``stage1.depth``, ``stage2.depth``: ``stage*.depth``) are one row where their options are
    equal.
    """
    chooser = PositionChooser(1.0)
    Searched(space, {"name": ""}, (), task).sample(chooser)
    groups: dict[tuple[Any, ...], list[Question]] = {}
    for question in chooser.questions.values():
        key = (re.sub(r"\d+", "*", question.name), question.options, question.ordered)
        groups.setdefault(key, []).append(question)
    return [
        {
            "choice": _common([question.name for question in group]),
            "places": len(group),
            "ordered": ordered,
            "options": list(options),
        }
        for (_, options, ordered), group in groups.items()
    ]


def _common(names: Iterable[str]) -> str:
    """The names with a ``*`` for the numbers in which they differ."""
    parts = zip(*(re.split(r"(\d+)", name) for name in names), strict=True)
    return "".join(part[0] if len(set(part)) == 1 else "*" for part in parts)
