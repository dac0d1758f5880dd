"""Answers to the choices of a study that a person gives: checked by name, before anything is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.errors import PlanError
from nas.registry import nearest
from nas.space.chooser import PositionChooser, Question, Value
from nas.space.sampling import Searched
from trials.plans.text import parse
from trials.plans.values import short


def parse_answers(texts: Sequence[str]) -> dict[str, Any]:
    """Return the answers that texts ``choice=value`` give; ``value`` is YAML.

    Raises:
        PlanError: a text does not have this form, or a choice repeats.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise PlanError(f"{short(text)}: write choice=value, as in stage1.depth=2")
        if name in found:
            raise PlanError(f"{short(text)}: {name} was answered before; give one answer")
        found[name] = parse(value, f"{short(text)}: the value")
    return found


def questions_of(searched: Searched) -> dict[str, Question]:
    """Return the questions that a space and its policies ask, by name."""
    chooser = PositionChooser(0.0)
    searched.sample(chooser)
    return chooser.questions


def checked_answers(questions: Mapping[str, Question], given: Mapping[str, Any], where: str) -> dict[str, Value]:
    """Return the given answers as options of their questions; ``where`` begins the message about a mistake.

    Raises:
        PlanError: there is no such question, or the answer is none of its options.
    """
    return {name: option_of(question_of(questions, name, where), value, where) for name, value in given.items()}


def question_of(questions: Mapping[str, Question], name: str, where: str) -> Question:
    """Return the question of this name; PlanError if there is none."""
    if name not in questions:
        known = ", ".join(questions) or "none, the space has no choices"
        raise PlanError(f"{where}: no choice {name!r}{nearest(name, questions) or f'; known: {known}'}")
    return questions[name]


def option_of(question: Question, value: Any, where: str) -> Value:
    """Return the option that a value stands for: an equal one, or one that is written in the same way.

    Raises:
        PlanError: there is none.
    """
    matching = (_is_equal, _is_written_alike)
    for matches in matching:
        for option in question.options:
            if matches(option, value):
                return option
    options = [written(option) for option in question.options]
    hint = nearest(written(value), options, f"allowed: {', '.join(options)}")
    raise PlanError(f"{where}: {question.name} can't be {short(value)}{hint}")


def written(value: Any) -> str:
    """Return a value as it is written in YAML without quotes: ``true``, ``null``, ``3``, ``conv``."""
    special = {True: "true", False: "false", None: "null"}
    return special[value] if value is None or isinstance(value, bool) else str(value)


def _is_equal(option: Value, value: Any) -> bool:
    numbers = all(isinstance(item, int | float) and not isinstance(item, bool) for item in (option, value))
    return (numbers or type(option) is type(value)) and option == value


def _is_written_alike(option: Value, value: Any) -> bool:
    return written(option) == written(value)
