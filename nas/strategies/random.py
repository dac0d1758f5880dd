"""Random search, the baseline of all other strategies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from nas.papers import Paper
from nas.space.chooser import RandomChooser
from nas.strategies import Goal, Observation, Strategy, Suggestion
from nas.strategies.seeds import suggestion_seed

if TYPE_CHECKING:
    from nas.space import Chooser

T = TypeVar("T")


class RandomStrategy(Strategy):
    """Answers every choice at random and learns nothing.

    Answers are uniform, or follow the ``priors`` of the plan. It is the baseline for other strategies.
    """

    paper = Paper(
        29,
        "Random Search as a Baseline for Sparse Neural Network Architecture Search (Farahani 2024)",
        "tests/unit/trials/reporting/report/test_page.py::test_a_report_without_a_baseline_says_so_in_its_heading",
    )
    learns = False
    has_priors = True

    def __init__(self, goal: Goal, seed: int) -> None:
        super().__init__(goal, seed)
        self._priors: Mapping[str, Sequence[float]] = {}

    def use_priors(self, priors: Mapping[str, Sequence[float]]) -> None:
        """See ``Strategy.use_priors``; answers are drawn with these weights."""
        self._priors = priors

    def propose(self, build: Callable[[Chooser], T], number: int) -> tuple[Suggestion, T]:
        """See ``Strategy.propose``."""
        chooser = RandomChooser(suggestion_seed(self.seed, number), self._priors)
        built = build(chooser)
        return Suggestion.from_chooser(number, chooser), built

    def observe(self, observations: Sequence[Observation]) -> None:
        """See ``Strategy.observe``; does nothing, because this strategy does not learn."""
