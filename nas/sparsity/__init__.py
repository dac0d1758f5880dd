"""Weight sparsity: which shape (pattern), how much where (allocation), and when (schedule); each chosen by its name.

Patterns and allocations have no state: their tables hold them ready. A schedule is made with the plan's parameters.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from nas.papers import Paper
from nas.registry import Registry

if TYPE_CHECKING:
    from nas.sparsity.mask import Mask
    from nas.sparsity.prunable import Prunable

Shape = tuple[int, ...]


class Pattern(ABC):
    """What a mask may look like: atoms of weights that are kept or removed together, and which of them compete."""

    #: How regular it is; ``structured`` removes whole channels from the network when it is finalised.
    structure: Literal["unstructured", "semi-structured", "structured"]
    #: The kept fraction it fixes by itself, whatever is asked for; None leaves the choice.
    own_density: float | None = None
    #: What it keeps or removes together, for a table of all patterns; empty where the docstring says it.
    summary: str = ""
    paper: Paper | None = None

    @abstractmethod
    def pools(self, weight: Tensor) -> list[Tensor]:
        """The elements of a weight ``(outputs, inputs, …)`` as tensors ``(groups, atoms, size)``.

        Within each group the best atoms are kept. Every element is in one pool.
        """

    def acts_on(self, shape: Shape) -> bool:
        """Whether such a weight can be pruned; by default not one with a single input per output (depthwise)."""
        return shape[1] > 1

    def num_kept(self, atoms: int, density: float) -> int:
        """Atoms kept of a group: the nearest number, at least one."""
        return max(1, round(density * atoms))

    def mask(self, scores: Tensor, density: float) -> Tensor:
        """Boolean mask that keeps the atoms of the highest mean score; the first of equal ones."""
        places = torch.arange(scores.numel(), device=scores.device).reshape(scores.shape)
        kept = torch.zeros(scores.numel(), dtype=torch.bool, device=scores.device)
        for values, where in zip(self.pools(scores), self.pools(places), strict=True):
            order = values.mean(2).argsort(dim=1, descending=True, stable=True)
            best = order[:, : self.num_kept(values.shape[1], density)]
            kept[where.gather(1, best.unsqueeze(2).expand(-1, -1, where.shape[2])).flatten()] = True
        return kept.reshape(scores.shape)

    def count(self, shape: Shape, density: float) -> int:
        """Weights that ``mask`` keeps, whatever the scores."""
        pools = [pool.shape for pool in self.pools(torch.empty(shape, device="meta"))]
        return sum(groups * self.num_kept(atoms, density) * size for groups, atoms, size in pools)

    def packed_bits(self, shape: Shape, bits: int) -> int:
        """Bits that a weight takes in storage, with ``bits`` for each value; all values are stored by default."""
        return math.prod(shape) * bits


@dataclass(frozen=True)
class Layer:
    """What an allocation knows of a weight."""

    shape: Shape
    #: First and last weight of the whole network.
    first: bool = False
    last: bool = False


class Allocation(ABC):
    """How one density is shared out to layers."""

    #: The density of a layer, for a table of all allocations; empty where the docstring says it.
    summary: str = ""
    paper: Paper | None = None

    @abstractmethod
    def densities(self, layers: Sequence[Layer], density: float) -> list[float]:
        """Kept fraction of each layer; weighted by size their mean is ``density``."""


class Schedule(ABC):
    """When weights are removed. All its state is in the model's buffers; draws come from ``Prunable.random``."""

    #: Relative to training.
    when: Literal["before", "during", "after"]
    #: Whether weights come back while others go, at constant density.
    dynamic: bool
    paper: Paper | None = None

    @abstractmethod
    def density(self, part: Prunable, step: int, total_steps: int) -> float:
        """Kept fraction of a part in step ``step``."""

    @abstractmethod
    def on_step(self, model: nn.Module, parts: Sequence[Prunable], step: int, total_steps: int) -> None:
        """Before optimizer step ``step`` (from 0); a function of step and buffers, so that training can be resumed."""

    def allows(self, pattern: Pattern) -> bool:
        """Whether it can prune by that pattern."""
        return True

    def make_mask(self, shape: Shape, device: torch.device) -> Mask:
        """The parametrization of a weight: how values and gradients pass."""
        from nas.sparsity.mask import Mask

        return Mask(shape, device)

    def start(self, model: nn.Module, parts: Sequence[Prunable]) -> None:  # noqa: B027  (most start dense)
        """Of a freshly built network."""

    def finish(self, model: nn.Module, parts: Sequence[Prunable]) -> None:
        """Prune what is still over its final density, by magnitude: an untrained network, or one stopped early."""
        for part in parts:
            density = self.final_density(part)
            if int(part.kept().sum()) != part.num_kept(density):
                part.prune(density)

    def final_density(self, part: Prunable) -> float:
        """Kept fraction of a part in the network that ships."""
        return part.density

    def restarts(self, total_steps: int) -> tuple[int, ...]:
        """Steps before which optimizer and learning rate start anew."""
        return ()


PATTERNS: Registry[Pattern] = Registry(
    "patterns",
    {
        "block_2x1": "nas.sparsity.patterns.block:BLOCK_2X1",
        "block_4x1": "nas.sparsity.patterns.block:BLOCK_4X1",
        "channels": "nas.sparsity.patterns.channels:CHANNELS",
        "unstructured": "nas.sparsity.patterns.unstructured:UNSTRUCTURED",
        **{f"nm_{n}_{m}": f"nas.sparsity.patterns.nm:NM_{n}_{m}" for n in (1, 2) for m in (4, 8, 16)},
        **{f"nm_{n}_{m}_by_4": f"nas.sparsity.patterns.nm:NM_{n}_{m}_BY_4" for n in (1, 2) for m in (4, 8, 16)},
    },
    instances_of=Pattern,
)

ALLOCATIONS: Registry[Allocation] = Registry(
    "allocations",
    {
        "er": "nas.sparsity.allocations.erdos_renyi:ER",
        "erk": "nas.sparsity.allocations.erdos_renyi:ERK",
        "erk_plus": "nas.sparsity.allocations.erdos_renyi:ERK_PLUS",
        "uniform": "nas.sparsity.allocations.uniform:UNIFORM",
        "uniform_plus": "nas.sparsity.allocations.uniform:UNIFORM_PLUS",
    },
    instances_of=Allocation,
)

SCHEDULES: Registry[type[Schedule]] = Registry(
    "schedules",
    {
        "gradual": "nas.sparsity.schedules.gradual:Gradual",
        "lottery_ticket": "nas.sparsity.schedules.lottery_ticket:LotteryTicket",
        "one_shot": "nas.sparsity.schedules.one_shot:OneShot",
        "prune_and_grow": "nas.sparsity.schedules.prune_and_grow:PruneAndGrow",
        "static_random": "nas.sparsity.schedules.static_random:StaticRandom",
    },
    subclasses_of=Schedule,
)
