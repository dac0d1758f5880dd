"""Answers to the choices of a study that a person gives: checked by name, before anything is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.errors import PlanError
from nas.registry import nearest
from nas.space.chooser import PositionChooser, Question, Value
from nas.space.sampling import Searched
from trials.plans.text import parse, written
from trials.plans.values import short

#: Weight of an option that is given alone, relative to all other options together.
ALONE = 4.0


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


def prior_weights(questions: Mapping[str, Question], priors: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """Return question → weight of each of its options, in their order.

    Args:
        questions: the questions of a study.
        priors: question → option → positive weight, where other options weigh 1; or question → a single option, which
            weighs ``ALONE`` times as much as all others together.

    Raises:
        PlanError: there is no such question or option, or a weight is not positive.
    """
    found = {}
    for name, given in priors.items():
        where = f"priors.{name}"
        question = question_of(questions, name, "priors")
        weights = dict.fromkeys(range(len(question.options)), 1.0)
        if not isinstance(given, Mapping):
            given = {written(given): ALONE * max(1, len(question.options) - 1)}
        for text, weight in given.items():
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight > 0:
                raise PlanError(
                    f"{where}: the weight of {text} is {short(weight)}; give a number above 0. To exclude an option, "
                    "leave it out of the space"
                )
            option = option_of(question, text, where)
            weights[[repr(each) for each in question.options].index(repr(option))] = float(weight)
        found[name] = tuple(weights.values())
    return found


def _is_equal(option: Value, value: Any) -> bool:
    numbers = all(isinstance(item, int | float) and not isinstance(item, bool) for item in (option, value))
    return (numbers or type(option) is type(value)) and option == value


def _is_written_alike(option: Value, value: Any) -> bool:
    return written(option) == written(value)
