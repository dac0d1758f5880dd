"""Masks on weights, as parametrizations, so that checkpoints, averages and copies include them."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class Mask(nn.Module):
    """Sets removed weights to zero; they get no gradient.

    Args:
        shape: shape of the weight, or one that broadcasts to it.
        device: device of the weight.
        record: whether to have a buffer for the gradients of all weights, removed ones included.
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
        """Start (``wanted``) or stop to sum up the gradients of all weights, removed ones included."""
        assert self.gradient is not None
        self.recording = wanted
        if wanted:
            self.gradient.zero_()

    def _record(self, gradient: Tensor) -> None:
        assert self.gradient is not None
        self.gradient += gradient.detach()


def put_mask(module: nn.Module, mask: Mask) -> None:
    """Put a mask on a module's weight, after its other masks and before other parametrizations, such as rounding."""
    if not parametrize.is_parametrized(module, "weight"):
        parametrize.register_parametrization(module, "weight", mask)
        return
    stacked = _stacked(module)
    stacked.insert(sum(isinstance(item, Mask) for item in stacked), mask)


def original(module: nn.Module) -> Tensor:
    """The module's weight without its masks, detached; in-place changes reach the weight."""
    if not parametrize.is_parametrized(module, "weight"):
        return cast(Tensor, module.weight).detach()
    return _stacked(module).original.detach()


def bake_mask(module: nn.Module) -> None:
    """Write a module's masks into its weight as zeros, and remove the masks; other parametrizations stay."""
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
