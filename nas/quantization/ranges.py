"""Integer ranges: asymmetric u8 activations per tensor, symmetric s8 weights per output channel.

After Jacob et al. 2018; weights use −127 … 127, so that their range is symmetric.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Range:
    """``real = scale · (integer − zero_point)`` with integers 0 … 255."""

    scale: float
    zero_point: int

    def fake_quantize(self, values: Tensor) -> Tensor:
        """``values`` as the integers represent them."""
        integers = (values / self.scale).round() + self.zero_point
        return (integers.clamp(0, 255) - self.zero_point) * self.scale


def range_of(low: float, high: float) -> Range:
    """The range that covers ``low`` … ``high`` and represents zero exactly."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255 or 1.0
    return Range(scale, round(min(max(-low / scale, 0), 255)))


def weight_scales(weight: Tensor) -> Tensor:
    """``(out,)`` scale of each output channel of a weight ``(out, …)``."""
    largest = weight.detach().abs().flatten(1).amax(dim=1)
    return torch.where(largest > 0, largest, torch.ones_like(largest)) / 127


def fake_quantize_weight(weight: Tensor) -> Tensor:
    """A weight as the integers represent it."""
    scales = weight_scales(weight).view(-1, *[1] * (weight.dim() - 1))
    return (weight / scales).round().clamp(-127, 127) * scales
