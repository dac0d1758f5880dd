"""Choosers: who answers a space's questions.

A chooser records every question with its answer. The record of the *active* answers is the architecture; the record
of all questions, those of skipped slots included, is the fixed vector a sampler sees.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nas.errors import SpaceError

Value = None | bool | int | float | str


@dataclass(frozen=True)
class Question:
    """One choice of a space."""

    name: str
    options: tuple[Value, ...]
    #: Options run from cheap to dear.
    ordered: bool = False
    #: False for a question of a skipped slot: asked of the sampler, no part of the architecture.
    active: bool = True
    #: The slot or site it is about; empty for the whole network.
    site: str = ""


class Chooser(ABC):
    """Answers questions and remembers them. One chooser answers one build."""

    def __init__(self) -> None:
        self.questions: dict[str, Question] = {}
        self.answers: dict[str, Value] = {}

    def choose(
        self,
        name: str,
        options: Sequence[Value],
        *,
        ordered: bool = False,
        active: bool = True,
        site: str = "",
    ) -> Value:
        """Answer one question.

        Args:
            name: unique in a build; in a space it always comes with the same options.
            options: None, bool, int, float or str; from cheap to dear when ``ordered``.
            ordered: whether neighbours in the list are neighbours in effect.
            active: whether the answer has any effect on this network.
            site: the slot or site it is about.

        Raises:
            SpaceError: the name was asked before, the options are empty or repeat, or a replay has no such answer.
        """
        question = Question(name, tuple(options), ordered, active, site)
        if name in self.questions:
            raise SpaceError(f"choice {name!r} is asked twice in one build; give each place its own name")
        if not question.options or len(set(map(repr, question.options))) != len(question.options):
            raise SpaceError(f"choice {name!r} needs distinct options, got {list(options)!r}")
        if not all(option is None or isinstance(option, bool | int | float | str) for option in options):
            raise SpaceError(
                f"choice {name!r}: options are None, bool, int, float or str (names of things, "
                f"not things), got {list(options)!r}"
            )
        self.questions[name] = question
        answer = self.answers[name] = self._answer(question)
        return answer

    @property
    def active_answers(self) -> dict[str, Value]:
        """Answers that have an effect: the architecture's choices."""
        return {name: value for name, value in self.answers.items() if self.questions[name].active}

    @abstractmethod
    def _answer(self, question: Question) -> Value:
        """One of the question's options."""


class RandomChooser(Chooser):
    """Uniform answers from a seed."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)

    def _answer(self, question: Question) -> Value:
        return self._random.choice(question.options)


class ReplayChooser(Chooser):
    """Gives recorded answers, strictly.

    Every active question must have a recorded answer among its options; ``finish`` raises if recorded answers were
    left over. Inactive questions get their first option: they have no effect.
    """

    def __init__(self, choices: Mapping[str, Value]) -> None:
        super().__init__()
        self._choices = dict(choices)

    def _answer(self, question: Question) -> Value:
        if not question.active:
            return question.options[0]
        if question.name not in self._choices:
            raise SpaceError(f"the recorded choices have no {question.name!r}; were they made in another space?")
        value = self._choices[question.name]
        if not any(_same(value, option) for option in question.options):
            raise SpaceError(f"recorded {question.name}={value!r} is none of {list(question.options)!r}")
        return value

    def finish(self) -> None:
        """Raise SpaceError if an answer was recorded for a question that was not asked.

        One that is inactive by now has no effect: layers that share a weight were once asked about one by one.
        """
        unused = sorted(set(self._choices) - set(self.answers))
        if unused:
            raise SpaceError(f"the space never asked for recorded {', '.join(map(repr, unused))}")


class FixedVectorChooser(Chooser):
    """Gives the answers of a whole vector, inactive ones too; the first option where it has none."""

    def __init__(self, answers: Mapping[str, Value]) -> None:
        super().__init__()
        self._given = dict(answers)

    def _answer(self, question: Question) -> Value:
        value = self._given.get(question.name, question.options[0])
        return value if any(_same(value, option) for option in question.options) else question.options[0]


class PositionChooser(Chooser):
    """Takes the option at a fixed position of every list: 0 the first, 0.5 the middle, 1 the last.

    Of ordered questions only, where position is cost; unordered ones get their first option.
    """

    def __init__(self, position: float) -> None:
        super().__init__()
        self._position = position

    def _answer(self, question: Question) -> Value:
        index = round(self._position * (len(question.options) - 1)) if question.ordered else 0
        return question.options[index]


def _same(value: Value, option: Value) -> bool:
    return type(value) is type(option) and value == option
