"""Answers that a person gives: what is understood, and what the messages say."""

from __future__ import annotations

import pytest

from nas.errors import PlanError
from nas.space.chooser import Question
from trials.plans.answers import checked_answers, parse_answers

QUESTIONS = {
    question.name: question
    for question in (
        Question("stem.width", (8, 16, 24), ordered=True),
        Question("op", ("conv", "none", None)),
        Question("bias", (True, False)),
        Question("density", (0.5, 1.0)),
        Question("bits", ("4", "8")),
    )
}


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("stem.width=16", 16),
        ("stem.width='16'", 16),
        ("op=none", "none"),
        ("op=null", None),
        ("bias=true", True),
        ("density=1", 1.0),
        ("bits=8", "8"),
    ],
)
def test_an_answer_is_the_option_that_is_written_in_this_way(text: str, option: object) -> None:
    answers = checked_answers(QUESTIONS, parse_answers([text]), "enqueue.0")
    ((_, found),) = answers.items()
    assert (found, type(found)) == (option, type(option))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stem.with=16", r"enqueue\.0: no choice 'stem\.with'; did you mean 'stem\.width'\?"),
        ("op=con", r"enqueue\.0: op can't be 'con'; did you mean 'conv'\? Allowed: conv, none, null"),
        ("stem.width=17", r"enqueue\.0: stem\.width can't be 17; allowed: 8, 16, 24"),
        ("bias=1", r"enqueue\.0: bias can't be 1; allowed: true, false"),
        ("stem.width", r"'stem\.width': write choice=value, as in stage1\.depth=2"),
        ("=16", r"'=16': write choice=value"),
        ("op=[", r"'op=\[': the value is not YAML"),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        checked_answers(QUESTIONS, parse_answers([text]), "enqueue.0")


def test_a_choice_is_answered_once() -> None:
    with pytest.raises(PlanError, match="op was answered before"):
        parse_answers(["op=conv", "op=none"])
