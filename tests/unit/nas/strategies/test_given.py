from __future__ import annotations

from collections.abc import Mapping

import pytest

from nas.errors import PlanError
from nas.space.chooser import Chooser, Value
from nas.strategies import Goal
from nas.strategies.given import GivenStrategy

GOAL = Goal({"accuracy": "maximize"}, {})


def build(chooser: Chooser) -> tuple[Value, ...]:
    depth = chooser.choose("depth", (1, 2), ordered=True)
    widths = [chooser.choose(f"width{slot}", (8, 16), active=slot < int(depth or 0)) for slot in range(2)]
    return (depth, *widths)


def given(*choices: Mapping[str, Value]) -> GivenStrategy:
    return GivenStrategy(GOAL, 0, choices)


def test_networks_come_in_the_order_of_the_list_and_then_no_more() -> None:
    strategy = given({"depth": 2, "width0": 16, "width1": 8}, {"depth": 1, "width0": 16})
    strategy.check(build)
    assert [strategy.propose(build, number)[1] for number in range(2)] == [(2, 16, 8), (1, 16, 8)]
    assert [strategy.exhausted(number) for number in range(4)] == [False, False, True, True]


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"depth": 1}, r"choices\.1 does not fit this space.*no answer to 'width0'"),
        ({"depth": 1, "width0": 9}, r"width0=9 is none of \[8, 16\]"),
        ({"depth": 1, "width0": 8.0}, r"width0=8\.0 is none of"),
        ({"depth": 1, "width0": 8, "other": 8}, r"never asked for recorded 'other'"),
    ],
)
def test_what_is_no_network_of_the_space_is_refused(choices: Mapping[str, Value], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        given({"depth": 1, "width0": 8}, choices).check(build)
