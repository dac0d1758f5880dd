"""Choosers: which questions are asked, how they are answered, what is refused."""

from __future__ import annotations

import pytest

from nas.errors import SpaceError
from nas.space.chooser import (
    Chooser,
    FixedVectorChooser,
    PositionChooser,
    RandomChooser,
    ReplayChooser,
)


def ask(chooser: Chooser) -> Chooser:
    depth = chooser.choose("depth", (1, 2, 3), ordered=True)
    for slot in range(3):
        chooser.choose(f"slot{slot}", ("a", "b", None), active=slot < int(depth), site=f"slot{slot}")  # type: ignore[arg-type]
    return chooser


def test_a_record_has_every_question_and_active_answers_are_the_architecture() -> None:
    chooser = ask(FixedVectorChooser({"depth": 2, "slot0": "b", "slot1": None, "slot2": "b"}))
    assert chooser.answers == {"depth": 2, "slot0": "b", "slot1": None, "slot2": "b"}
    assert chooser.active_answers == {"depth": 2, "slot0": "b", "slot1": None}
    question = chooser.questions["slot2"]
    assert (question.options, question.ordered, question.active, question.site) == (
        ("a", "b", None),
        False,
        False,
        "slot2",
    )


def test_random_answers_depend_on_the_seed_alone_and_reach_every_option() -> None:
    assert ask(RandomChooser(1)).answers == ask(RandomChooser(1)).answers
    assert {ask(RandomChooser(seed)).answers["slot0"] for seed in range(30)} == {"a", "b", None}


def test_a_replay_gives_the_architecture_again() -> None:
    for seed in range(10):
        recorded = ask(RandomChooser(seed)).active_answers
        replay = ReplayChooser(recorded)
        ask(replay)
        replay.finish()
        assert replay.active_answers == recorded


@pytest.mark.parametrize(
    ("recorded", "message"),
    [
        ({"depth": 2, "slot0": "a"}, "no answer to 'slot1'"),
        ({"depth": 7}, "depth=7 is none of"),
        ({"depth": True, "slot0": "a"}, "depth=True is none of"),
    ],
)
def test_a_replay_that_does_not_fit_is_refused(recorded: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        ask(ReplayChooser(recorded))  # type: ignore[arg-type]


def test_answers_nobody_asked_for_are_refused() -> None:
    replay = ReplayChooser({"depth": 1, "slot0": "a", "slot1": "b", "old": 1})
    ask(replay)
    with pytest.raises(SpaceError, match=r"recorded 'old';"):
        replay.finish()


def test_a_position_is_taken_in_ordered_lists_only() -> None:
    for position, depth in ((0, 1), (0.5, 2), (1, 3)):
        answers = ask(PositionChooser(position)).answers
        assert (answers["depth"], answers["slot0"]) == (depth, "a")


def test_a_fixed_vector_falls_back_to_the_first_option() -> None:
    assert ask(FixedVectorChooser({"depth": 9})).answers["depth"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [((), "distinct options"), ((1, 1), "distinct options"), (([1],), "None, bool, int, float or str")],
)
def test_options_that_cannot_be_recorded_are_refused(options: tuple[object, ...], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        RandomChooser(0).choose("x", options)  # type: ignore[arg-type]


def test_one_and_true_are_two_options() -> None:
    assert RandomChooser(0).choose("x", (1, True, 1.0)) in (1, True, 1.0)


def test_a_name_is_asked_once() -> None:
    chooser = RandomChooser(0)
    chooser.choose("x", (1, 2))
    with pytest.raises(SpaceError, match="asked twice"):
        chooser.choose("x", (1, 2))
