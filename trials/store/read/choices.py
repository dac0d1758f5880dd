"""Read the choices of all complete candidates of a study as one table of codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from trials.store.models import Architecture, Candidate, SuggestionRow
from trials.store.read.session import Source, find_study, reading

#: Code of a choice that has no effect on a network, such as the width of a skipped layer.
NO_EFFECT = -1


@dataclass(frozen=True)
class Choices:
    """The answers of n candidates to the d choices that have an effect on any of them."""

    #: Numbers of the candidates, ascending ``(n,)``.
    numbers: NDArray[np.int64]
    names: tuple[str, ...]
    #: For each choice its answers: numbers ascending, anything else by its text.
    options: tuple[tuple[Any, ...], ...]
    #: ``(n, d)``: place of the answer among the choice's options, or ``NO_EFFECT``.
    codes: NDArray[np.int32]


def study_choices(source: Source, name: str) -> Choices:
    """Return the choices of the complete candidates of the study ``name``.

    Raises:
        UnknownNameError: the study does not exist.
    """
    choices = Architecture.definition["choices"].label("choices")
    query = select(Candidate.number, choices).join(Architecture, Architecture.id == Candidate.architecture_id)
    with reading(source) as session:
        study = find_study(session, name)
        query = query.where(Candidate.study_id == study.id, Candidate.state == "complete").order_by(Candidate.number)
        numbers: list[int] = []
        answers: dict[str, _Answers] = {}
        for place, (number, given) in enumerate(session.execute(query)):
            numbers.append(number)
            for key, value in (given or {}).items():
                answers.setdefault(key, _Answers()).add(place, value)
    columns = [found.column(len(numbers)) for found in answers.values()]
    codes = np.stack([column for _, column in columns], axis=1) if columns else np.empty((len(numbers), 0), np.int32)
    options = tuple(own for own, _ in columns)
    return Choices(np.array(numbers, dtype=np.int64), tuple(answers), options, codes)


class _Answers:
    """The answers to one choice, in the order in which they are met."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._options: list[Any] = []
        self._places: list[int] = []
        self._codes: list[int] = []

    def add(self, place: int, value: Any) -> None:
        """Add the answer of the candidate at a place. 1, 1.0, True and "1" are different answers."""
        code = self._known.setdefault(repr(value), len(self._options))
        if code == len(self._options):
            self._options.append(value)
        self._places.append(place)
        self._codes.append(code)

    def column(self, count: int) -> tuple[tuple[Any, ...], NDArray[np.int32]]:
        """Return the options in their order, and the codes of all ``count`` candidates."""
        ordered = sorted(range(len(self._options)), key=lambda code: _order(self._options[code]))
        column = np.full(count, NO_EFFECT, dtype=np.int32)
        column[self._places] = np.argsort(ordered)[self._codes]
        return tuple(self._options[code] for code in ordered), column


def _order(value: Any) -> tuple[bool, float, str]:
    is_number = isinstance(value, int | float)
    return not is_number, float(value) if is_number else 0.0, str(value)


def asked_choices(source: Source, name: str, number: int) -> dict[str, tuple[Any, ...]]:
    """Return choice → options of the questions that lead to candidate ``number``, those without effect included.

    It is empty for a candidate that no answers lead to.

    Raises:
        UnknownNameError: the study does not exist.
    """
    with reading(source) as session:
        query = select(SuggestionRow.questions).join(Candidate, Candidate.id == SuggestionRow.candidate_id)
        query = query.where(Candidate.study_id == find_study(session, name).id, Candidate.number == number)
        questions = session.scalar(query.order_by(SuggestionRow.id).limit(1)) or ()
        return {str(question[0]): tuple(question[1]) for question in questions}
