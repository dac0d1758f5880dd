"""Small steps from one answer vector to others."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping

from nas.errors import SpaceError
from nas.space.chooser import Chooser, Question, Value


class MutatingChooser(Chooser):
    """Replays an answer vector with some answers drawn anew.

    A redrawn answer differs from the old one. Where the vector has no answer, or one that is no option here,
    the answer is drawn: so vectors of other presets and of spaces that have grown are projected to this one.

    Args:
        answers: of a whole vector or of the active questions only.
        redrawn: names to draw anew.
        seed: of the draws.
    """

    def __init__(self, answers: Mapping[str, Value], redrawn: Iterable[str], seed: int) -> None:
        super().__init__()
        self._given = dict(answers)
        self._redrawn = frozenset(redrawn)
        self._random = random.Random(seed)

    def _answer(self, question: Question) -> Value:
        place = _place(question, self._given)
        if place is None:
            return self._random.choice(question.options)
        if question.name not in self._redrawn or len(question.options) == 1:
            return question.options[place]
        others = [option for other, option in enumerate(question.options) if other != place]
        return self._random.choice(others)


def mutated(answers: Mapping[str, Value], questions: Iterable[Question], k: int, seed: int) -> MutatingChooser:
    """A chooser that redraws ``k`` active answers, all if there are fewer; those with one option don't count.

    Raises:
        SpaceError: ``k`` is not positive.
    """
    if k < 1:
        raise SpaceError(f"mutation of {k} answers; need at least 1")
    names = [question.name for question in questions if question.active and len(question.options) > 1]
    generator = random.Random(seed)
    return MutatingChooser(answers, generator.sample(names, min(k, len(names))), generator.randrange(2**32))


def neighbours(answers: Mapping[str, Value], questions: Iterable[Question]) -> Iterator[dict[str, Value]]:
    """Every vector that differs in one active answer; the nearest options of ordered questions first.

    First one step of every question, then the second nearest option of every question, and so on.

    Args:
        answers: of all the questions, or of the active ones.
        questions: as recorded by the chooser that gave the answers.

    Raises:
        SpaceError: an active question whose answer is missing or none of its options.
    """
    ranked = [(question, _by_distance(question, answers)) for question in questions if question.active]
    for rank in range(max((len(options) for _, options in ranked), default=0)):
        for question, options in ranked:
            if rank < len(options):
                yield {**answers, question.name: options[rank]}


def _by_distance(question: Question, answers: Mapping[str, Value]) -> list[Value]:
    """The other options, nearest first."""
    here = _place(question, answers)
    if here is None:
        raise SpaceError(
            f"{question.name}={answers.get(question.name)!r} is none of {list(question.options)!r}; "
            "neighbours need an answer to every active question"
        )
    places = [place for place in range(len(question.options)) if place != here]
    if question.ordered:
        places.sort(key=lambda place: abs(place - here))
    return [question.options[place] for place in places]


def _place(question: Question, answers: Mapping[str, Value]) -> int | None:
    """Where the answer stands among the options; ``1`` is not ``True``."""
    if question.name not in answers:
        return None
    answer = answers[question.name]
    for place, option in enumerate(question.options):
        if type(option) is type(answer) and option == answer:
            return place
    return None
