"""Choosers, which answer the questions of a space.

A chooser records every question with its answer. The record of the *active* answers is the architecture. The record of
all questions, including those of skipped slots, is the vector of fixed length that a sampler sees.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nas.errors import SpaceError

Value = None | bool | int | float | str
_KINDS = (type(None), bool, int, float, str)


@dataclass(frozen=True)
class Question:
    """One choice of a space."""

    name: str
    options: tuple[Value, ...]
    #: Whether the options are in the order of their cost, the cheapest first.
    ordered: bool = False
    #: False for a question of a skipped slot: the sampler answers it, but it is not part of the architecture.
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
            options: None, bool, int, float or str; the cheapest first if ``ordered``.
            ordered: whether options that are adjacent in the list also have similar effects.
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
        if not all(isinstance(option, _KINDS) for option in options):
            raise SpaceError(
                f"choice {name!r}: options are None, bool, int, float or str (names of things, "
                f"not things), got {list(options)!r}"
            )
        self.questions[name] = question
        answer = self.answers[name] = self._answer(question)
        return answer

    @property
    def active_answers(self) -> dict[str, Value]:
        """The answers that have an effect, which are the choices of the architecture."""
        return {name: value for name, value in self.answers.items() if self.questions[name].active}

    @abstractmethod
    def _answer(self, question: Question) -> Value:
        """One of the question's options."""


class RandomChooser(Chooser):
    """Random answers from a seed: uniform ones, or with a weight for each option in ``weights`` by question."""

    def __init__(self, seed: int, weights: Mapping[str, Sequence[float]] | None = None) -> None:
        super().__init__()
        self._random = random.Random(seed)
        self._weights = weights or {}

    def _answer(self, question: Question) -> Value:
        if question.name in self._weights:
            return self._random.choices(question.options, self._weights[question.name])[0]
        return self._random.choice(question.options)


class PartialChooser(RandomChooser):
    """Gives known answers, and uniform ones from a seed to questions without a known answer among their options."""

    def __init__(self, answers: Mapping[str, Value], seed: int) -> None:
        super().__init__(seed)
        self._known = dict(answers)

    def _answer(self, question: Question) -> Value:
        drawn = super()._answer(question)
        if question.name not in self._known:
            return drawn
        return next((option for option in question.options if _same(self._known[question.name], option)), drawn)


class ReplayChooser(Chooser):
    """Gives recorded answers, strictly.

    Every active question must have a recorded answer that is one of its options. ``finish`` raises an error if recorded
    answers were not used. Inactive questions have no effect and get their first option.
    """

    def __init__(self, choices: Mapping[str, Value]) -> None:
        super().__init__()
        self._choices = dict(choices)

    def _answer(self, question: Question) -> Value:
        if not question.active:
            return question.options[0]
        if question.name not in self._choices:
            raise SpaceError(
                f"the recorded choices have no answer to {question.name!r}; give one, or use the space that they were "
                "made in"
            )
        value = self._choices[question.name]
        if not any(_same(value, option) for option in question.options):
            raise SpaceError(
                f"recorded {question.name}={value!r} is none of {list(question.options)!r}; choose one of them, or "
                "use the space that it was made in"
            )
        return value

    def finish(self) -> None:
        """Raise SpaceError if an answer was recorded for a question that was not asked.

        An answer to a question that was asked as inactive is ignored: earlier versions asked a question for each of
        several layers that share a weight.
        """
        unused = sorted(set(self._choices) - set(self.answers))
        if unused:
            raise SpaceError(
                f"the space never asked for recorded {', '.join(map(repr, unused))}; leave that out, or use the space "
                "that it was made in"
            )


class FixedVectorChooser(Chooser):
    """Gives the answers of a whole vector, including inactive ones; a missing answer is the first option."""

    def __init__(self, answers: Mapping[str, Value]) -> None:
        super().__init__()
        self._given = dict(answers)

    def _answer(self, question: Question) -> Value:
        value = self._given.get(question.name, question.options[0])
        return value if any(_same(value, option) for option in question.options) else question.options[0]


class PositionChooser(Chooser):
    """Takes the option at a fixed relative position: 0 for the first, 0.5 for the middle one, 1 for the last.

    This holds for ordered questions, whose position stands for cost. Unordered questions get their first option.
    """

    def __init__(self, position: float) -> None:
        super().__init__()
        self._position = position

    def _answer(self, question: Question) -> Value:
        index = round(self._position * (len(question.options) - 1)) if question.ordered else 0
        return question.options[index]


def _same(value: Value, option: Value) -> bool:
    return type(value) is type(option) and value == option
