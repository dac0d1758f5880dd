"""Distances of codes, and which questions have an effect."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nas.space.chooser import Question
from nas.strategies.pareto_bo.activity import Activity
from nas.strategies.pareto_bo.codes import INACTIVE, Coder

CODER = Coder(
    (Question("kind", ("a", "b", "c")), Question("width", (8, 16, 32, 64), ordered=True), Question("only", (1,), True))
)


def distance(question: int, first: int, second: int) -> float:
    levels = np.zeros((2, 3), dtype=np.int64)
    levels[:, question] = first, second
    codes = CODER.codes(levels)[:, CODER.owner == question]
    return float(((codes[0] - codes[1]) ** 2).sum())


@pytest.mark.parametrize(("question", "size"), [(0, 3), (1, 4), (2, 1)])
def test_distances_are_those_of_the_levels(question: int, size: int) -> None:
    for first, second in itertools.product(range(size), repeat=2):
        expected = float(first != second) if question == 0 else ((first - second) / max(1, size - 1)) ** 2
        if question == 1:
            expected = abs(first - second) / (size - 1)
        assert distance(question, first, second) == pytest.approx(expected)
    assert all(distance(question, level, INACTIVE) == pytest.approx(1.0) for level in range(size))
    assert distance(question, INACTIVE, INACTIVE) == 0


def test_answers_survive_the_way_through_places() -> None:
    answers = {"kind": "b", "width": 64, "only": 1}
    assert CODER.answers(CODER.places(answers)) == answers
    levels = CODER.levels(answers, {"kind": True, "width": False, "only": True})
    assert levels.tolist() == [1, INACTIVE, 0]


def test_options_that_python_takes_for_equal_are_told_apart() -> None:
    coder = Coder((Question("bias", (1, True, 1.0)),))
    assert [int(coder.places({"bias": value})[0]) for value in (1, True, 1.0)] == [0, 1, 2]


def test_activity_is_learned_from_the_question_that_decides() -> None:
    sizes = np.array([3, 4, 5])
    generator = np.random.default_rng(0)
    places = generator.integers(0, sizes, size=(30, 3))
    active = np.stack([np.ones(30, bool), places[:, 0] >= 1, places[:, 0] >= 2], axis=1)
    activity = Activity(places, active, sizes)
    other = generator.integers(0, sizes, size=(50, 3))
    expected = np.stack([np.ones(50, bool), other[:, 0] >= 1, other[:, 0] >= 2], axis=1)
    assert (activity.predict(other) == expected).all()


def test_an_option_nobody_had_is_judged_by_its_neighbour() -> None:
    places = np.array([[0, 0], [1, 0], [1, 1]])
    activity = Activity(places, np.array([[True, False], [True, True], [True, True]]), np.array([4, 2]))
    assert activity.predict(np.array([[3, 0], [0, 1]]))[:, 1].tolist() == [True, False]
