"""Gradual pruning: sparsity rises along a cubic curve during training."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from nas.errors import PlanError
from nas.papers import Paper
from nas.sparsity import Schedule
from nas.sparsity.prunable import Prunable


class Gradual(Schedule):
    """Sparsity rises along a cubic curve (Zhu & Gupta 2017).

    At the share x of the curve the sparsity is s_f + (s_i - s_f) (1 - x)³. Masks are computed again by magnitude at
    every update. A removed weight gets no gradient, but it competes again at the next update.

    Args:
        start: share of training before the curve starts.
        end: share of training at which the curve ends; the masks stay fixed from then on.
        every: number of steps between two updates.
        initial: sparsity s_i at the start of the curve.
    """

    when = "during"
    dynamic = False
    paper = Paper(
        47,
        "To prune, or not to prune (Zhu & Gupta 2017)",
        "tests/unit/nas/sparsity/test_gradual.py::test_realised_sparsity_is_the_cubic_formula",
    )

    def __init__(self, start: float = 0.1, end: float = 0.75, every: int = 10, initial: float = 0.0) -> None:
        if not 0 <= start < end <= 1:
            raise PlanError(f"schedule gradual: start {start!r}, end {end!r}; allowed: 0 ≤ start < end ≤ 1")
        if every < 1 or not 0 <= initial < 1:
            raise PlanError(
                f"schedule gradual: every {every!r}, initial {initial!r}; every must be at least 1, "
                "initial a sparsity from 0 to below 1"
            )
        self.start_at, self.end_at, self.every, self.initial = start, end, every, initial

    def density(self, part: Prunable, step: int, total_steps: int) -> float:
        """Density after the last update up to and including the step."""
        first, last = self._span(total_steps)
        if step < first:
            return 1.0
        updated = last if step >= last else step - (step - first) % self.every
        left = 1.0 - (updated - first) / (last - first)
        initial = max(1.0 - self.initial, part.density)
        return part.density + (initial - part.density) * left**3

    def on_step(self, model: nn.Module, parts: Sequence[Prunable], step: int, total_steps: int) -> None:
        """See ``Schedule.on_step``."""
        first, last = self._span(total_steps)
        if step == last or (first <= step < last and (step - first) % self.every == 0):
            for part in parts:
                part.prune(self.density(part, step, total_steps))

    def _span(self, total_steps: int) -> tuple[int, int]:
        first = round(self.start_at * total_steps)
        return first, max(first + 1, round(self.end_at * total_steps))
