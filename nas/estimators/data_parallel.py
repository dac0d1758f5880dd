"""Training in several processes: each has a part of every batch, and gradients are averaged (torch's DDP).

The process group must be initialised before; Ray Train does this for ``nas train --workers``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor, nn
from torch.distributed import all_reduce, broadcast_object_list, get_rank, get_world_size
from torch.nn.parallel import DistributedDataParallel

from nas.errors import PlanError

T = TypeVar("T")


@dataclass(frozen=True)
class Workers:
    """The processes that train one network together, and the number of this one."""

    rank: int
    size: int

    @classmethod
    def joined(cls) -> Workers:
        """The processes of torch's default process group, of which this process is one."""
        return cls(get_rank(), get_world_size())

    def share(self, batches: Tensor, batch_size: int) -> Tensor:
        """Indices ``(n * batch_size / size,)`` of this process's part of ``n`` whole batches ``(n * batch_size,)``."""
        part = batch_size // self.size
        return batches.view(-1, batch_size)[:, self.rank * part : (self.rank + 1) * part].reshape(-1)

    def check_batch(self, batch_size: int, *, even: bool) -> None:
        """Raise PlanError if a batch can't be divided into equal parts, which are even if images are mixed in pairs."""
        if batch_size % (self.size * (2 if even else 1)):
            parts = "equal parts with an even number of images" if even else "equal parts"
            raise PlanError(
                f"a batch of {batch_size} can't be divided into {self.size} {parts}; give another batch_size or number "
                "of workers"
            )

    def wrapped(self, model: nn.Module) -> nn.Module:
        """The model with gradients that are averaged over all processes after each backward pass."""
        return DistributedDataParallel(model)

    def mean(self, values: Tensor) -> Tensor:
        """The mean of each value over all processes."""
        total = values.detach().clone()
        all_reduce(total)
        return total / self.size

    def first(self, value: T) -> T:
        """The value of the first process, which all processes get."""
        found = [value]
        broadcast_object_list(found, src=0)
        return found[0]
