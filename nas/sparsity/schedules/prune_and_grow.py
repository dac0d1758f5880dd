"""Dynamic sparse training: the weakest weights are dropped, and the same number of others grow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from nas.errors import PlanError
from nas.papers import Paper
from nas.sparsity import Pattern, Schedule, Shape
from nas.sparsity.mask import Mask
from nas.sparsity.prunable import Prunable, PrunableWeight

#: Ranks of surviving weights and of weights that were just dropped; weights that may grow have ranks from 0 to 1.
SURVIVED, DROPPED = 2.0, -1.0


class PruneAndGrow(Schedule):
    """Starts from a random mask and exchanges a share of it at regular intervals, so that the density never changes.

    The smallest weights are removed, and other weights start from zero in their place (Wang et al. 2024; SET, RigL).
    The share follows a cosine to zero. It can't be used with ``channels``: a removed channel gets no gradient and has
    no value to start from.

    Args:
        every: number of steps between two exchanges.
        death_rate: share of the kept weights that the first exchange replaces; it falls along a cosine.
        until: share of training after which nothing is exchanged.
        grow: which weights start: ``random`` ones, or those with the largest ``gradient`` in the step before.
    """

    when = "during"
    dynamic = True
    paper = Paper(
        22,
        "Dynamic Sparse Learning (Wang et al. 2024)",
        "tests/unit/nas/sparsity/test_prune_and_grow.py::test_an_exchange",
    )

    def __init__(
        self,
        every: int = 20,
        death_rate: float = 0.3,
        until: float = 0.75,
        grow: Literal["random", "gradient"] = "random",
    ) -> None:
        if every < 1 or not 0 < death_rate < 1 or not 0 < until <= 1 or grow not in ("random", "gradient"):
            raise PlanError(
                f"schedule prune_and_grow: every {every!r}, death_rate {death_rate!r}, until {until!r}, grow {grow!r}; "
                "every must be at least 1, death_rate and until shares above 0, grow random or gradient"
            )
        self.every, self.death_rate, self.until, self.grow = every, death_rate, until, grow

    def allows(self, pattern: Pattern) -> bool:
        """True for all patterns except those of whole channels."""
        return pattern.structure != "structured"

    def make_mask(self, shape: Shape, device: torch.device) -> Mask:
        """Make a mask that records gradients if growing needs them."""
        return Mask(shape, device, record=self.grow == "gradient")

    def density(self, part: Prunable, step: int, total_steps: int) -> float:
        """Density of the part, which is constant."""
        return part.density

    def rate(self, step: int, total_steps: int) -> float:
        """Share of the kept weights that an exchange in this step would replace."""
        return self.death_rate / 2 * (1 + math.cos(math.pi * step / (self.until * total_steps)))

    def start(self, model: nn.Module, parts: Sequence[Prunable]) -> None:
        """Draw the first masks."""
        for part in parts:
            part.prune(part.density, part.random(-1))

    def on_step(self, model: nn.Module, parts: Sequence[Prunable], step: int, total_steps: int) -> None:
        """See ``Schedule.on_step``."""
        for part in parts:
            assert isinstance(part, PrunableWeight)
            if self._exchanges(step, total_steps):
                self._exchange(part, step, self.rate(step, total_steps))
            if self.grow == "gradient":
                part.mask.record(self._exchanges(step + 1, total_steps))

    def _exchanges(self, step: int, total_steps: int) -> bool:
        return step > 0 and step % self.every == 0 and step < self.until * total_steps

    def _exchange(self, part: PrunableWeight, step: int, rate: float) -> None:
        before = part.kept()
        wanted = part.random(step) if self.grow == "random" else part.gradient().abs()
        part.prune(part.density, ranking(part.pattern, before, part.values().abs(), wanted, rate))
        part.clear(part.kept() & ~before)


def ranking(pattern: Pattern, kept: Tensor, magnitudes: Tensor, wanted: Tensor, rate: float) -> Tensor:
    """Scores by which a pattern drops its weakest kept atoms and keeps the most wanted others in their place.

    Args:
        pattern: pattern of the mask, whose atoms are exchanged.
        kept: current mask.
        magnitudes: magnitudes of the weights, which decide the atoms to drop.
        wanted: score of each weight for growing.
        rate: share of each pool's kept atoms that is dropped.
    """
    places = torch.arange(kept.numel(), device=kept.device).reshape(kept.shape)
    scores = torch.empty(kept.numel(), device=kept.device)
    pools = zip(*(pattern.pools(tensor) for tensor in (places, kept, magnitudes, wanted)), strict=True)
    for where, alive, sizes, growth in pools:
        standing, strength, grown = alive[..., 0], sizes.mean(2), growth.mean(2)
        rank = torch.where(standing, SURVIVED, grown / grown.max().clamp(min=1e-30))
        order = torch.where(standing, strength, math.inf).flatten().argsort(stable=True)
        rank.view(-1)[order[: round(rate * int(standing.sum()))]] = DROPPED
        scores[where.flatten()] = rank.unsqueeze(2).expand(where.shape).flatten()
    return scores.reshape(kept.shape)
