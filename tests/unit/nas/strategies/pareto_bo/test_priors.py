"""Beliefs about answers, and how long they count."""

from __future__ import annotations

import numpy as np
import pytest

from nas.space.chooser import Chooser, Question
from nas.strategies import Goal, Observation
from nas.strategies.pareto_bo import ParetoBoStrategy
from nas.strategies.pareto_bo.codes import INACTIVE, Coder
from nas.strategies.pareto_bo.priors import Priors
from nas.strategies.random import RandomStrategy

GOAL = Goal({"accuracy": "maximize", "cost": "minimize"}, {})
CODER = Coder((Question("op", ("conv", "pool")), Question("width", (8, 16, 24), ordered=True)))
PRIORS = Priors({"op": (4.0, 1.0)})


def test_the_influence_of_a_belief_decays_with_the_number_of_results() -> None:
    levels = np.array([[0, 0], [1, 0], [INACTIVE, 2]])
    for num_results in (10, 20, 100):
        expected = [1.0, 0.25 ** (10 / num_results), 1.0]
        assert PRIORS.factors(CODER, levels, num_results) == pytest.approx(expected)


def test_answers_are_drawn_by_their_weights() -> None:
    drawn = PRIORS.drawn(4000, CODER, np.random.default_rng(0))
    assert np.mean(drawn[:, 0] == 0) == pytest.approx(0.8, abs=0.03)
    assert [np.mean(drawn[:, 1] == place) for place in range(3)] == pytest.approx([1 / 3] * 3, abs=0.03)


def space(chooser: Chooser) -> tuple[float, float]:
    """4096 networks whose cost and accuracy grow with the number of ones."""
    ones = sum(int(chooser.choose(f"bit{place}", (0, 1))) for place in range(12))  # type: ignore[arg-type]
    return float(ones), float(ones + 1)


@pytest.mark.parametrize("strategy", [RandomStrategy, ParetoBoStrategy])
def test_first_networks_follow_the_priors(strategy: type[RandomStrategy | ParetoBoStrategy]) -> None:
    def share_of_ones(weights: tuple[float, float]) -> float:
        found = strategy(GOAL, 0)
        found.use_priors({f"bit{place}": weights for place in range(12)})
        suggestions = []
        for number in range(10):
            suggestion, _ = found.propose(space, number)
            found.observe([Observation(suggestion, "running")])
            suggestions.append(suggestion)
        return float(np.mean([list(item.answers.values()) for item in suggestions]))

    assert share_of_ones((1.0, 9.0)) > 0.8
    assert share_of_ones((9.0, 1.0)) < 0.2
