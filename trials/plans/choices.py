"""The choices of a search space as a short table, in which equal choices of several places share a row."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from nas.space import Question, SearchSpace
from nas.space.chooser import PositionChooser
from nas.space.sampling import Searched
from nas.tasks import Task


def choices_of(space: SearchSpace, task: Task) -> list[dict[str, Any]]:
    """Return ``choice, places, ordered, options`` of every choice of a space on a task, as JSON values.

    Choices whose names differ only in numbers (``stage1.depth`` and ``stage2.depth``) and whose options are equal
    share one row (``stage*.depth``).
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
    """Return the common name: ``*`` replaces the numbers in which the names differ."""
    parts = zip(*(re.split(r"(\d+)", name) for name in names), strict=True)
    return "".join(part[0] if len(set(part)) == 1 else "*" for part in parts)
