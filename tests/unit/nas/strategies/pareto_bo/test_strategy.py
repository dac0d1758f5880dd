"""What one proposal costs, and how known networks are handled."""

from __future__ import annotations

from nas.space.chooser import Chooser
from nas.strategies import Goal, Observation
from nas.strategies.pareto_bo import ParetoBoStrategy

GOAL = Goal({"accuracy": "maximize", "cost": "minimize"}, {})


class Counted:
    """A space of 256 networks that counts how often one is built."""

    def __init__(self) -> None:
        self.num_built = 0

    def __call__(self, chooser: Chooser) -> tuple[float, float]:
        self.num_built += 1
        levels = [int(chooser.choose(f"width{place}", (1, 2, 3, 4), ordered=True)) for place in range(4)]  # type: ignore[arg-type]
        return float(sum(levels)), float(levels[0] * levels[1] + levels[2])


def test_a_network_that_was_proposed_is_not_built_again() -> None:
    """Building takes longer than predicting, so a proposal builds only a shortlist, however many networks are known."""
    space, strategy, proposed = Counted(), ParetoBoStrategy(GOAL, 0, shortlist=4), set()
    for number in range(60):
        before = space.num_built
        suggestion, (accuracy, cost) = strategy.propose(space, number)
        assert number < 10 or space.num_built - before == 4
        proposed.add(tuple(suggestion.answers.values()))
        strategy.observe([Observation(suggestion, "complete", {"accuracy": accuracy, "cost": cost})])
    assert len(proposed) == 60
