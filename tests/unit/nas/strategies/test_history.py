"""Which networks are new."""

from __future__ import annotations

import numpy as np

from nas.space.chooser import Chooser, FixedVectorChooser
from nas.strategies import Goal, Observation, Suggestion
from nas.strategies.history import History, KnownNetworks


def build(chooser: Chooser) -> None:
    has_convolution = chooser.choose("convolution", (False, True))
    chooser.choose("kernel", (1, 3, 5), ordered=True, active=bool(has_convolution))


def suggestion(number: int, **answers: bool | int) -> Suggestion:
    chooser = FixedVectorChooser(answers)
    build(chooser)
    return Suggestion.from_chooser(number, chooser)


def test_an_answer_without_effect_makes_no_network_new() -> None:
    known = KnownNetworks()
    known.add(suggestion(0, convolution=False, kernel=1))
    known.add(suggestion(1, convolution=True, kernel=3))
    everything = np.array([[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]])
    assert known.are_new(everything).tolist() == [False, False, False, True, False, True]
    assert not known.is_new(suggestion(2, convolution=False, kernel=5))
    drawn = [known.random_new(np.random.default_rng(seed)) for seed in range(20)]
    assert {(item["convolution"], item["kernel"]) for item in drawn if item} == {(True, 1), (True, 5)}


def test_everything_is_known_once_all_networks_were_proposed() -> None:
    known = KnownNetworks()
    networks = [suggestion(0, convolution=False)]
    networks += [suggestion(1 + place, convolution=True, kernel=kernel) for place, kernel in enumerate((1, 3, 5))]
    for item in networks:
        assert not known.is_everything
        known.add(item)
    assert known.is_everything
    assert known.random_new(np.random.default_rng(0)) is None


def test_a_space_whose_builds_ask_different_questions_is_never_exhausted() -> None:
    def other(chooser: Chooser) -> None:
        chooser.choose("depth", (1,))

    known = KnownNetworks()
    chooser = FixedVectorChooser({})
    other(chooser)
    known.add(Suggestion.from_chooser(0, chooser))
    assert known.is_everything
    known.add(suggestion(1))
    assert not known.is_everything
    assert known.is_new(suggestion(2))


def test_neighbours_differ_in_one_answer_with_an_effect() -> None:
    history = History(Goal({"accuracy": "maximize"}, {}))
    parent = suggestion(0, convolution=True, kernel=3)
    history.observe([Observation(parent, "failed"), Observation(suggestion(1, convolution=True, kernel=5), "running")])
    found = history.new_neighbours(parent)
    assert found == {
        "convolution": [{"convolution": False, "kernel": 3}],
        "kernel": [{"convolution": True, "kernel": 1}],
    }
    assert history.results() == []
