"""Answers as numbers: vectors whose weighted squared distance says how differently two networks were answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from nas.space.chooser import Question, Value

Floats = npt.NDArray[np.float64]
Levels = npt.NDArray[np.int64]
#: Level of a question that has no effect.
INACTIVE = -1


@dataclass(frozen=True)
class Coder:
    """Translates between answers, levels and codes of one space's questions.

    *Levels* ``(d,)`` are the places of the answers in the lists of options, ``INACTIVE`` where a question has no
    effect. *Codes* ``(k,)`` are such that the squared distance over the columns of one question is 0 for equal levels,
    1 for an active and an inactive one and for two options without order, and ``((i - j) / (L - 1))`` for places i and
    j of L ordered options.
    """

    questions: tuple[Question, ...]

    def levels(self, answers: Mapping[str, Value], active: Mapping[str, bool]) -> Levels:
        """``(d,)`` levels of one network's answers."""
        return np.array(
            [
                self._places[question.name][repr(answers[question.name])] if active[question.name] else INACTIVE
                for question in self.questions
            ],
            dtype=np.int64,
        )

    def places(self, answers: Mapping[str, Value]) -> Levels:
        """``(d,)`` places of all answers, those without effect included."""
        return self.levels(answers, dict.fromkeys(self._places, True))

    def answers(self, places: Levels) -> dict[str, Value]:
        """The answers at these places."""
        return {
            question.name: question.options[int(place)] for question, place in zip(self.questions, places, strict=True)
        }

    @cached_property
    def sizes(self) -> Levels:
        """``(d,)`` numbers of options."""
        return np.array([len(question.options) for question in self.questions], dtype=np.int64)

    @cached_property
    def owner(self) -> Levels:
        """``(k,)``: which question a column of the codes belongs to."""
        return np.repeat(np.arange(len(self.questions)), [table.shape[1] for table in self._tables])

    def codes(self, levels: Levels) -> Floats:
        """``(n, k)`` codes of ``(n, d)`` levels."""
        columns = [table[levels[:, place]] for place, table in enumerate(self._tables)]
        return np.concatenate([np.empty((len(levels), 0)), *columns], axis=1)

    @cached_property
    def _places(self) -> dict[str, dict[str, int]]:
        return {
            question.name: {repr(option): place for place, option in enumerate(question.options)}
            for question in self.questions
        }

    @cached_property
    def _tables(self) -> Sequence[Floats]:
        """For each question ``(L + 1, columns)``: the code of each level, the last row that of ``INACTIVE``."""
        return [(_ordered if item.ordered else _unordered)(len(item.options)) for item in self.questions]


def _unordered(size: int) -> Floats:
    """One column per level: two levels differ in two columns, by a half each when squared."""
    return np.asarray(np.eye(size + 1) * np.sqrt(0.5))


def _ordered(size: int) -> Floats:
    """A column per step from one option to the next, and one that tells active from inactive."""
    steps = max(1, size - 1)
    table = np.zeros((size + 1, steps + 1))
    table[:size, :steps] = np.tri(size, steps, -1) / np.sqrt(steps)
    table[size, :steps] = 0.5 / np.sqrt(steps)  # a quarter from every option
    table[size, steps] = np.sqrt(0.75)
    return table
