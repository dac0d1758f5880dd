"""What one proposal costs, and how known networks are handled."""

from __future__ import annotations

import numpy as np
import pytest

from nas.space.chooser import Chooser
from nas.strategies import PREDICTED, Goal, Limit, Observation
from nas.strategies.pareto_bo import ParetoBoStrategy
from nas.strategies.pareto_bo.codes import levels_of
from nas.strategies.random import RandomStrategy

GOAL = Goal({"accuracy": "maximize", "cost": "minimize"}, {})


class Counted:
    """A space of 256 networks that counts how often one is built."""

    def __init__(self) -> None:
        self.num_built = 0

    def __call__(self, chooser: Chooser) -> tuple[float, float]:
        self.num_built += 1
        levels = [int(chooser.choose(f"width{place}", (1, 2, 3, 4), ordered=True)) for place in range(4)]  # type: ignore[arg-type]
        return float(sum(levels)), float(levels[0] * levels[1] + levels[2])


def test_a_network_that_was_proposed_or_compared_is_hardly_built_again() -> None:
    """Building takes longer than predicting, so a proposal builds only those of its shortlist that are not known.

    One more is built if the chosen network is known from an earlier shortlist.
    """
    space, strategy, proposed = Counted(), ParetoBoStrategy(GOAL, 0, shortlist=4), set()
    for number in range(60):
        before = space.num_built
        suggestion, (accuracy, cost) = strategy.propose(space, number)
        assert space.num_built - before <= 5
        proposed.add(tuple(suggestion.answers.values()))
        strategy.observe([Observation(suggestion, "complete", {"accuracy": accuracy, "cost": cost})])
    assert len(proposed) == 60
    assert space.num_built < 10 + 50 * 3


def test_predicted_costs_are_stored_before_they_are_known() -> None:
    """The cost is a smooth function of the answers, so that most predictions after 30 results are good."""
    goal = Goal(GOAL.objectives, {"cost": Limit(max=15.0), "other": Limit(max=30.0), "least": Limit(min=1.0)})
    space, strategy, checked = Counted(), ParetoBoStrategy(goal, 0, shortlist=4), []
    for number in range(50):
        suggestion, (accuracy, cost) = strategy.propose(space, number)
        predicted = suggestion.sampler_state.get(PREDICTED, {})
        assert set(predicted) == (set() if number < 10 else {"cost", "other"})
        if number >= 30:
            for name, true in (("cost", cost), ("other", 2 * cost)):
                value, low, high = predicted[name]
                assert low <= value <= high
                checked.append((abs(value - true) / true, low <= true <= high))
        violations = {"cost": (cost - 15.0) / 15.0, "other": (2 * cost - 30.0) / 30.0, "least": 1.0 - cost}
        strategy.observe([Observation(suggestion, "complete", {"accuracy": accuracy, "cost": cost}, violations)])
    assert sorted(error for error, _ in checked)[len(checked) // 2] < 0.05
    assert sum(inside for _, inside in checked) > 0.8 * len(checked)


@pytest.mark.parametrize("state", ["paused", "stopped"])
def test_scores_that_rungs_let_expect_teach_as_much_as_their_noise_allows(state: str) -> None:
    """Four networks are finished, thirty wait at a rung; nothing but those tells which answers are good."""

    def error(spread: float | None) -> float:
        """Mean error of predicted accuracies; ``spread``: of the expected scores, None where nothing is expected."""
        space, strategy = Counted(), ParetoBoStrategy(GOAL, 0, shortlist=4, n_startup_trials=2)
        generator = np.random.default_rng(0)
        for number in range(34):
            suggestion, (accuracy, cost) = RandomStrategy(GOAL, 0).propose(space, number)
            values, spreads = {"cost": cost}, {}
            if number < 4:
                values["accuracy"] = accuracy
            elif spread is not None:
                values["accuracy"], spreads["accuracy"] = accuracy + spread * float(generator.normal()), spread
            of = "complete" if number < 4 else state
            strategy.observe([Observation(suggestion, of, values, spreads=spreads)])  # type: ignore[arg-type]
        model = strategy._model([strategy._observations[key] for key in range(34)])
        others = [RandomStrategy(GOAL, 1).propose(space, number) for number in range(50)]
        levels = np.stack([levels_of(model.coder, suggestion) for suggestion, _ in others])
        inputs = model.built(levels, [{}] * 50)
        mean, _ = model._objectives[0].predict(inputs)
        return float(np.abs(mean - [accuracy for _, (accuracy, _) in others]).mean())

    assert error(0.1) < 0.5 * error(None)
    assert error(0.1) < error(3.0)
