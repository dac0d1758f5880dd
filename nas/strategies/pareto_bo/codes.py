"""Encodes answers as vectors whose weighted squared distance measures how different two networks are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from nas.space.chooser import Question, Value
    from nas.strategies import Suggestion

Floats = npt.NDArray[np.float64]
Levels = npt.NDArray[np.int64]
#: Level of a question that has no effect.
INACTIVE = -1


@dataclass(frozen=True)
class Coder:
    """Converts between answers, levels and codes for the questions of one space.

    *Levels* ``(d,)`` are the indices of the answers in the lists of options, or ``INACTIVE`` for questions without
    effect. *Codes* ``(k,)`` have several columns per question. The squared distance over the columns of one question is
    0 for equal levels, 1 for an active and an inactive level and for two unordered options, and ``|i - j| / (L - 1)``
    for options i and j of L ordered ones.
    """

    questions: tuple[Question, ...]

    def levels(self, answers: Mapping[str, Value], active: Mapping[str, bool]) -> Levels:
        """Levels ``(d,)`` of one network's answers."""
        return np.array(
            [
                self._places[question.name][repr(answers[question.name])] if active[question.name] else INACTIVE
                for question in self.questions
            ],
            dtype=np.int64,
        )

    def places(self, answers: Mapping[str, Value]) -> Levels:
        """Indices ``(d,)`` of all answers, including those without effect."""
        return self.levels(answers, dict.fromkeys(self._places, True))

    def nearest(self, answers: Mapping[str, Value]) -> Levels:
        """Indices ``(d,)`` of answers from another space; those that are no option here become the first option."""
        return np.array(
            [self._places[item.name].get(repr(answers.get(item.name)), 0) for item in self.questions], dtype=np.int64
        )

    def answers(self, places: Levels) -> dict[str, Value]:
        """The answers with the indices ``places`` ``(d,)``."""
        return {
            question.name: question.options[int(place)] for question, place in zip(self.questions, places, strict=True)
        }

    def key(self, levels: Levels) -> tuple[str, ...]:
        """The answers with an effect by levels ``(d,)``; it is equal for two sets of answers of one network."""
        pairs = zip(self._texts, levels.tolist(), strict=True)
        return tuple(texts[level] for texts, level in pairs if level != INACTIVE)

    @cached_property
    def sizes(self) -> Levels:
        """Numbers of options of the questions, ``(d,)``."""
        return np.array([len(question.options) for question in self.questions], dtype=np.int64)

    @cached_property
    def owner(self) -> Levels:
        """Index of the question that each column of the codes belongs to, ``(k,)``."""
        return np.repeat(np.arange(len(self.questions)), [table.shape[1] for table in self.tables])

    def codes(self, levels: Levels) -> Floats:
        """Codes ``(n, k)`` of levels ``(n, d)``."""
        columns = [table[levels[:, place]] for place, table in enumerate(self.tables)]
        return np.concatenate([np.empty((len(levels), 0)), *columns], axis=1)

    @cached_property
    def _places(self) -> dict[str, dict[str, int]]:
        return {
            question.name: {repr(option): place for place, option in enumerate(question.options)}
            for question in self.questions
        }

    @cached_property
    def _texts(self) -> Sequence[Sequence[str]]:
        return [[f"{item.name}={option!r}" for option in item.options] for item in self.questions]

    @cached_property
    def tables(self) -> Sequence[Floats]:
        """For each question, the code of each level ``(L + 1, columns)``; the last row is the code of ``INACTIVE``."""
        return [(_ordered if item.ordered else _unordered)(len(item.options)) for item in self.questions]


class Coded:
    """Places and levels of the answers of stored suggestions, each computed once.

    Args:
        questions: the questions of the space.
    """

    def __init__(self, questions: tuple[Question, ...]) -> None:
        self.coder = Coder(questions)
        self._known: dict[int, tuple[Levels, Levels]] = {}

    def of(self, suggestions: Sequence[Suggestion]) -> tuple[Levels, Levels]:
        """Indices of all answers and levels of n suggestions, ``(n, d)`` each."""
        for item in suggestions:
            if item.number not in self._known:
                self._known[item.number] = self.coder.places(item.answers), levels_of(self.coder, item)
        places, levels = zip(*(self._known[item.number] for item in suggestions), strict=True)
        return np.stack(places), np.stack(levels)


def levels_of(coder: Coder, suggestion: Suggestion) -> Levels:
    """Levels ``(d,)`` of the answers of a suggestion."""
    return coder.levels(suggestion.answers, {item.name: item.active for item in suggestion.questions})


def _unordered(size: int) -> Floats:
    """One column per level; two levels differ in two columns, each with a squared difference of a half."""
    return np.asarray(np.eye(size + 1) * np.sqrt(0.5))


def _ordered(size: int) -> Floats:
    """One column per step from an option to the next, and one column that separates active from inactive."""
    steps = max(1, size - 1)
    table = np.zeros((size + 1, steps + 1))
    table[:size, :steps] = np.tri(size, steps, -1) / np.sqrt(steps)
    table[size, :steps] = 0.5 / np.sqrt(steps)  # a squared distance of a quarter from every option
    table[size, steps] = np.sqrt(0.75)
    return table
