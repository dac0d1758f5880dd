"""Static random pruning: a random mask that never changes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from nas.papers import Paper
from nas.sparsity import Schedule
from nas.sparsity.prunable import Prunable


class StaticRandom(Schedule):
    """A random mask from the start that never changes.

    It is the baseline for every other schedule (Liu et al. 2022). The same seed draws the same mask.
    """

    when = "before"
    dynamic = False
    paper = Paper(
        38,
        "Random pruning (Liu et al. 2022)",
        "tests/unit/nas/sparsity/test_static_random.py::test_the_same_seed_draws_the_same_mask",
    )

    def density(self, part: Prunable, step: int, total_steps: int) -> float:
        """Density of the part, which is constant."""
        return part.density

    def start(self, model: nn.Module, parts: Sequence[Prunable]) -> None:
        """Draw the masks."""
        for part in parts:
            part.prune(part.density, part.random(0))

    def on_step(self, model: nn.Module, parts: Sequence[Prunable], step: int, total_steps: int) -> None:
        """Do nothing: masks never change."""
