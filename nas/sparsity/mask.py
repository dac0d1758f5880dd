"""The mask on a weight: a parametrization, so that checkpoints, averages and copies carry it."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class Mask(nn.Module):
    """Passes what is kept, zero elsewhere; neither do removed weights get a gradient.

    Args:
        shape: that of the weight, or one that broadcasts to it.
        device: of the weight.
        record: have a buffer for the gradient that removed weights would have got.
    """

    of_policy = True
    kept: Tensor
    gradient: Tensor | None

    def __init__(self, shape: tuple[int, ...], device: torch.device, *, record: bool = False) -> None:
        super().__init__()
        self.register_buffer("kept", torch.ones(shape, dtype=torch.bool, device=device))
        self.register_buffer("gradient", torch.zeros(shape, device=device) if record else None)
        self.recording = False

    def forward(self, weight: Tensor) -> Tensor:
        """The weight under the mask."""
        masked = torch.where(self.kept, weight, 0.0)
        if self.recording and masked.requires_grad:
            masked.register_hook(self._record)  # type: ignore[no-untyped-call]
        return masked

    def record(self, wanted: bool) -> None:
        """Add up, from now on, the gradients of every weight, removed ones included; or stop."""
        assert self.gradient is not None
        self.recording = wanted
        if wanted:
            self.gradient.zero_()

    def _record(self, gradient: Tensor) -> None:
        assert self.gradient is not None
        self.gradient += gradient.detach()


def put_mask(module: nn.Module, mask: Mask) -> None:
    """Lay a mask, or one more, over the module's weight, under whatever else is there: rounding sees zeros."""
    if not parametrize.is_parametrized(module, "weight"):
        parametrize.register_parametrization(module, "weight", mask)
        return
    stacked = _stacked(module)
    stacked.insert(sum(isinstance(item, Mask) for item in stacked), mask)


def original(module: nn.Module) -> Tensor:
    """The module's weight without its masks, detached; written in place."""
    if not parametrize.is_parametrized(module, "weight"):
        return cast(Tensor, module.weight).detach()
    return _stacked(module).original.detach()


def bake_mask(module: nn.Module) -> None:
    """Write zeros where masks are, and take the masks off; other parametrizations stay."""
    if not parametrize.is_parametrized(module, "weight"):
        return
    stacked = _stacked(module)
    for index in reversed(range(len(stacked))):
        item = stacked[index]
        if isinstance(item, Mask):
            original(module).masked_fill_(~item.kept, 0.0)
            del stacked[index]
    if not len(stacked):
        parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)


def _stacked(module: nn.Module) -> parametrize.ParametrizationList:
    return cast(parametrize.ParametrizationList, cast(nn.ModuleDict, module.parametrizations)["weight"])
