"""One-shot pruning: all weights are removed in a single step, by magnitude."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from nas.errors import PlanError
from nas.sparsity import Schedule
from nas.sparsity.prunable import Prunable


class OneShot(Schedule):
    """Removes all weights at one moment, by magnitude.

    Args:
        at: share of training before this moment: 0 prunes the initial weights, 1 the trained weights.
    """

    dynamic = False

    def __init__(self, at: float = 0.5) -> None:
        if not 0 <= at <= 1:
            raise PlanError(f"schedule one_shot: at {at!r}; allowed: a share of training, 0 to 1")
        self.at = at
        self.when = "before" if at == 0 else "after" if at == 1 else "during"

    def density(self, part: Prunable, step: int, total_steps: int) -> float:
        """Density 1 before the pruning, and the part's density from then on."""
        return part.density if step >= round(self.at * total_steps) else 1.0

    def on_step(self, model: nn.Module, parts: Sequence[Prunable], step: int, total_steps: int) -> None:
        """See ``Schedule.on_step``."""
        if step == round(self.at * total_steps):
            for part in parts:
                part.prune(part.density)
