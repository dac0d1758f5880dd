"""Mutation and neighbours of answer vectors."""

from __future__ import annotations

import pytest

from nas.errors import SpaceError
from nas.space.chooser import Chooser, Question, RandomChooser
from nas.space.moves import MutatingChooser, mutated, neighbours


def slots(chooser: Chooser, widths: tuple[int, ...] = (8, 16, 32, 64)) -> Chooser:
    depth = int(chooser.choose("depth", (1, 2, 3), ordered=True))  # type: ignore[arg-type]
    chooser.choose("only", ("option",))
    for slot in range(3):
        chooser.choose(f"width{slot}", widths, ordered=True, active=slot < depth)
    return chooser


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("seed", range(8))
def test_exactly_k_answers_change(k: int, seed: int) -> None:
    parent = slots(RandomChooser(seed))
    child = slots(mutated(parent.answers, parent.questions.values(), k, seed))
    changed = {name for name, answer in child.answers.items() if answer != parent.answers[name]}
    able = [name for name in parent.active_answers if name != "only"]
    assert len(changed) == min(k, len(able))
    assert changed <= set(able)


def test_every_active_answer_gets_its_turn() -> None:
    parent = slots(RandomChooser(0))
    changed = {
        name
        for seed in range(60)
        for name, answer in slots(mutated(parent.answers, parent.questions.values(), 1, seed)).answers.items()
        if answer != parent.answers[name]
    }
    assert changed == set(parent.active_answers) - {"only"}


def test_a_mutation_is_repeatable() -> None:
    parent = slots(RandomChooser(3))
    both = [slots(mutated(parent.answers, parent.questions.values(), 2, 5)).answers for _ in range(2)]
    assert both[0] == both[1]


def test_what_does_not_fit_is_projected() -> None:
    answers = {"depth": 3, "width0": 16, "width1": 64, "width2": True, "gone": 1}
    child = slots(MutatingChooser(answers, (), seed=0), widths=(1, 16))
    assert child.answers["depth"] == 3
    assert child.answers["width0"] == 16
    assert {child.answers["width1"], child.answers["width2"]} <= {1, 16}
    redrawn = {
        repr(slots(MutatingChooser(answers, (), seed=seed), widths=(1, 16)).answers["width2"]) for seed in range(20)
    }
    assert redrawn == {"1", "16"}


def test_neighbours_differ_in_one_active_answer_nearest_first() -> None:
    questions = (
        Question("width", (8, 16, 32, 64), ordered=True),
        Question("kind", ("a", "b", "c")),
        Question("off", (0, 1), active=False),
    )
    found = list(neighbours({"width": 16, "kind": "b", "off": 0}, questions))
    assert found == [
        {"width": 8, "kind": "b", "off": 0},
        {"width": 16, "kind": "a", "off": 0},
        {"width": 32, "kind": "b", "off": 0},
        {"width": 16, "kind": "c", "off": 0},
        {"width": 64, "kind": "b", "off": 0},
    ]


def test_every_neighbour_can_be_built() -> None:
    parent = slots(RandomChooser(2))
    count = sum(len(question.options) - 1 for question in parent.questions.values() if question.active)
    children = [
        slots(MutatingChooser(vector, (), seed=0)).answers
        for vector in neighbours(parent.answers, parent.questions.values())
    ]
    assert len(children) == count
    assert parent.answers not in children


def test_wrong_use_is_refused() -> None:
    with pytest.raises(SpaceError, match="at least 1"):
        mutated({}, (), 0, 0)
    with pytest.raises(SpaceError, match="width=5 is none of"):
        list(neighbours({"width": 5}, (Question("width", (8, 16)),)))
