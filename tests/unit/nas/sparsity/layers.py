"""One layer under a mask, for tests of schedules."""

from __future__ import annotations

import torch
from torch import nn

from nas.sparsity import PATTERNS, Schedule
from nas.sparsity.mask import put_mask
from nas.sparsity.prunable import PrunableWeight


def layer(
    schedule: Schedule, density: float, *, pattern: str = "unstructured", last: bool = False, seed: int = 0
) -> tuple[nn.Module, PrunableWeight]:
    """A linear layer of 20 × 30 weights, initialised."""
    generator = torch.Generator().manual_seed(1)
    model = nn.Sequential(nn.Linear(30, 20))
    model[0].weight.data = torch.randn(20, 30, generator=generator)
    mask = schedule.make_mask((20, 30), torch.device("cpu"))
    put_mask(model[0], mask)
    part = PrunableWeight("0", PATTERNS.get(pattern), density, seed=seed, last=last, module=model[0], mask=mask)
    schedule.start(model, [part])
    return model, part


def shake(model: nn.Module, seed: int) -> None:
    """Move every parameter a little."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
