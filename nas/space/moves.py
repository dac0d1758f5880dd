"""Small changes of an answer vector: mutations and neighbours."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping

from nas.errors import SpaceError
from nas.space.chooser import Chooser, Question, Value


class MutatingChooser(Chooser):
    """Replays an answer vector and draws some answers again.

    A redrawn answer differs from the old one. An answer is also drawn if the vector has none, or has one that is not an
    option here. Vectors of other presets, or of an earlier version of the space, can therefore be used too.

    Args:
        answers: answers to all questions, or to the active ones only.
        redrawn: names of the questions whose answers are drawn again.
        seed: seed of the draws.
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
    """A chooser that redraws ``k`` active answers that have a second option, or all of them if there are fewer.

    Raises:
        SpaceError: ``k`` is not positive.
    """
    if k < 1:
        raise SpaceError(f"mutation of {k} answers; need at least 1")
    names = [question.name for question in questions if question.active and len(question.options) > 1]
    generator = random.Random(seed)
    return MutatingChooser(answers, generator.sample(names, min(k, len(names))), generator.randrange(2**32))


def neighbours(answers: Mapping[str, Value], questions: Iterable[Question]) -> Iterator[dict[str, Value]]:
    """Every vector that differs in one active answer; the nearest options of ordered questions come first.

    The order is: the nearest option of every question, then the second nearest option of every question, and so on.

    Args:
        answers: answers to all questions, or to the active ones only.
        questions: as recorded by the chooser that gave the answers.

    Raises:
        SpaceError: an active question has no answer, or one that is not among its options.
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
    """The index of the answer among the options, None if it is not there; ``1`` and ``True`` differ."""
    if question.name not in answers:
        return None
    answer = answers[question.name]
    for place, option in enumerate(question.options):
        if type(option) is type(answer) and option == answer:
            return place
    return None
