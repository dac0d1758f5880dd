"""Weight sparsity: a pattern (shape of masks), an allocation (density of each layer) and a schedule (time of pruning).

Patterns and allocations have no state, and their registries hold instances. A schedule is made with parameters of the
plan.
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
    """The shape of masks: atoms of weights that are kept or removed together, and groups of atoms that compete."""

    #: Regularity of the masks; ``structured`` removes whole channels from the network when it is finalized.
    structure: Literal["unstructured", "semi-structured", "structured"]
    #: Density that the pattern fixes, whatever density is requested; None if any density is possible.
    own_density: float | None = None
    #: The weights that are kept or removed together, for the table of patterns; empty to use the docstring.
    summary: str = ""
    paper: Paper | None = None

    @abstractmethod
    def pools(self, weight: Tensor) -> list[Tensor]:
        """The elements of a weight ``(outputs, inputs, …)`` as tensors ``(groups, atoms, size)``.

        Within each group, the best atoms are kept. Every element is in exactly one pool.
        """

    def acts_on(self, shape: Shape) -> bool:
        """Whether a weight of this shape can be pruned; by default not with one input per output (depthwise)."""
        return shape[1] > 1

    def num_kept(self, atoms: int, density: float) -> int:
        """Number of atoms kept in a group: the nearest to the density, at least one."""
        return max(1, round(density * atoms))

    def mask(self, scores: Tensor, density: float) -> Tensor:
        """Boolean mask that keeps the atoms with the highest mean score, and the first among equal ones."""
        places = torch.arange(scores.numel(), device=scores.device).reshape(scores.shape)
        kept = torch.zeros(scores.numel(), dtype=torch.bool, device=scores.device)
        for values, where in zip(self.pools(scores), self.pools(places), strict=True):
            order = values.mean(2).argsort(dim=1, descending=True, stable=True)
            best = order[:, : self.num_kept(values.shape[1], density)]
            kept[where.gather(1, best.unsqueeze(2).expand(-1, -1, where.shape[2])).flatten()] = True
        return kept.reshape(scores.shape)

    def count(self, shape: Shape, density: float) -> int:
        """Number of weights that ``mask`` keeps, for any scores."""
        pools = [pool.shape for pool in self.pools(torch.empty(shape, device="meta"))]
        return sum(groups * self.num_kept(atoms, density) * size for groups, atoms, size in pools)

    def packed_bits(self, shape: Shape, bits: int) -> int:
        """Size of a stored weight in bits, with ``bits`` per value; by default all values are stored."""
        return math.prod(shape) * bits


@dataclass(frozen=True)
class Layer:
    """A weight as an allocation sees it."""

    shape: Shape
    #: Whether it is the first weight of the whole network.
    first: bool = False
    #: Whether it is the last weight of the whole network.
    last: bool = False


class Allocation(ABC):
    """A rule that distributes the density of a network over its layers."""

    #: The density of a layer, for a table of all allocations; empty where the docstring says it.
    summary: str = ""
    paper: Paper | None = None

    @abstractmethod
    def densities(self, layers: Sequence[Layer], density: float) -> list[float]:
        """Density of each layer; their mean, weighted by size, is ``density``."""


class Schedule(ABC):
    """Decides when weights are removed. Its state is in the model's buffers; randomness is ``Prunable.random``."""

    #: When masks are chosen, relative to training.
    when: Literal["before", "during", "after"]
    #: Whether removed weights can come back while others are removed, at constant density.
    dynamic: bool
    paper: Paper | None = None

    @abstractmethod
    def density(self, part: Prunable, step: int, total_steps: int) -> float:
        """Density of a part in step ``step``."""

    @abstractmethod
    def on_step(self, model: nn.Module, parts: Sequence[Prunable], step: int, total_steps: int) -> None:
        """Update masks before optimizer step ``step`` (from 0).

        The update depends only on the step and on buffers, so that a training can be resumed.
        """

    def allows(self, pattern: Pattern) -> bool:
        """Whether the schedule can use a pattern."""
        return True

    def make_mask(self, shape: Shape, device: torch.device) -> Mask:
        """Make the mask of a weight, which is a parametrization."""
        from nas.sparsity.mask import Mask

        return Mask(shape, device)

    def start(self, model: nn.Module, parts: Sequence[Prunable]) -> None:  # noqa: B027  (most start dense)
        """Prepare a network that was just built, before its first step."""

    def finish(self, model: nn.Module, parts: Sequence[Prunable]) -> None:
        """Prune parts that are not at their final density yet, by magnitude, as in an untrained network."""
        for part in parts:
            density = self.final_density(part)
            if int(part.kept().sum()) != part.num_kept(density):
                part.prune(density)

    def final_density(self, part: Prunable) -> float:
        """Density of a part in the deployed network."""
        return part.density

    def restarts(self, total_steps: int) -> tuple[int, ...]:
        """Steps before which optimizer and learning rate start again."""
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
