"""Integers and what they stand for: the one place where values are rounded, in training, in files and in checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from nas.quantization.scheme import Scheme

#: Largest weight of 8 bits. By default 7 of them are used: x86 without VNNI adds two u8 × s8 products in 16 bits, which
#: full weights overflow.
WEIGHT_LIMIT, FULL_WEIGHT_LIMIT = 64, 127
#: A smaller scale stands for a value that is always zero.
_NOTHING = 1e-30


@dataclass(frozen=True)
class Steps:
    """``value = (integer - zero_point) * scale`` with integers from ``low`` to ``high``; zero is hit exactly."""

    #: Float32, of a shape that broadcasts over the values; as is the int32 ``zero_point``.
    scale: Tensor
    zero_point: Tensor
    low: int
    high: int

    def integers(self, values: Tensor) -> Tensor:
        """Nearest integers, ties to even, as floats that are whole."""
        return torch.clamp(self.unclipped(values), self.low, self.high)

    def unclipped(self, values: Tensor) -> Tensor:
        """As ``integers``, of a range without end."""
        return torch.round(values / self.scale) + self.zero_point

    def values(self, integers: Tensor) -> Tensor:
        """What integers stand for."""
        return (integers - self.zero_point) * self.scale

    def fake_quantize(self, values: Tensor) -> Tensor:
        """Values rounded to steps; the gradient passes through where they were within the range."""
        return _Rounded.apply(values, self)  # type: ignore[no-any-return, no-untyped-call]


def activation_steps(low: Tensor | float, high: Tensor | float, scheme: Scheme) -> Steps:
    """U8 steps that span ``low`` … ``high`` and zero.

    Asymmetric: 256 steps where the range is, its ends included unless one is nearer to zero than half a step.
    Symmetric: the zero point is in the middle, 128, where values may be negative, and 0 where they may not: signed
    activations are slow on x86, and after a ReLU half of them is idle.
    """
    low, high = (torch.as_tensor(bound, dtype=torch.float32) for bound in (low, high))
    low, high = torch.clamp(low, max=0.0), torch.clamp(high, min=0.0)
    if scheme.activations == "symmetric":
        signed = low < 0.0
        scale = _used(torch.where(signed, torch.maximum(-low, high) / 127.0, high / 255.0))
        return Steps(scale, torch.where(signed, 128, 0).int(), 0, 255)
    zero_point = torch.clamp(torch.round(-low / _used((high - low) / 255.0)), 0, 255)
    # Of a whole zero point, so that both ends stay in the range. Pixels have 256 values as well: with the plain scale
    # a mean between two of them puts all of them on ties, which every runtime rounds its own way.
    below = torch.where(zero_point > 0, -low / zero_point.clamp(min=1), 0.0)
    above = torch.where(zero_point < 255, high / (255 - zero_point).clamp(min=1), 0.0)
    return Steps(_used(torch.maximum(below, above)), zero_point.int(), 0, 255)


def weight_groups(weight: Tensor, scheme: Scheme, bits: int) -> Tensor:
    """Weights ``(O, …)`` as ``(O, blocks, block)``: those of a block share a scale.

    Where blocks don't divide an output channel, all of it is one block: OpenVINO refuses a last block that is smaller.
    """
    rows = weight.flatten(1)
    size = scheme.block_size if bits == 4 and scheme.block_size else rows.shape[1]
    return rows.reshape(len(rows), -1, size if rows.shape[1] % size == 0 else rows.shape[1])


def weight_steps(groups: Tensor, bits: int, scheme: Scheme) -> Steps:
    """Steps of ``weight_groups``; scale and zero point are ``(O, blocks, 1)``."""
    lowest, highest = _weight_range(bits, scheme)
    if scheme.weights == "symmetric":
        scale = _used(groups.abs().amax(2, keepdim=True) / highest)
        return Steps(scale, torch.zeros_like(scale, dtype=torch.int32), lowest, highest)
    low, high = groups.amin(2, keepdim=True).clamp(max=0.0), groups.amax(2, keepdim=True).clamp(min=0.0)
    scale = _used((high - low) / (highest - lowest))
    zero_point = torch.clamp(lowest - torch.round(low / scale), lowest, highest).int()
    return Steps(scale, zero_point, lowest, highest)


def fake_quantize_weight(weight: Tensor, bits: int, scheme: Scheme) -> Tensor:
    """Weights ``(O, …)`` as their 8 or 4 bits stand for them; zeros stay zeros."""
    groups = weight_groups(weight, scheme, bits)
    rounded = weight_steps(groups.detach(), bits, scheme).fake_quantize(groups)
    rounded = rounded.reshape(weight.shape)
    if weight.dim() == 4 and weight.is_contiguous(memory_format=torch.channels_last):
        return rounded.contiguous(memory_format=torch.channels_last)
    return rounded


def _weight_range(bits: int, scheme: Scheme) -> tuple[int, int]:
    if bits == 8 and not scheme.full_range:
        return -WEIGHT_LIMIT, WEIGHT_LIMIT
    limit = {8: FULL_WEIGHT_LIMIT, 4: 7}[bits]
    return (-limit if scheme.weights == "symmetric" else -limit - 1), limit


def _used(scale: Tensor) -> Tensor:
    return torch.where(scale > _NOTHING, scale, 1.0)


class _Rounded(torch.autograd.Function):
    """Rounds forward; backward the gradient of clipping (a straight-through estimator)."""

    @staticmethod
    def forward(ctx: FunctionCtx, values: Tensor, steps: Steps) -> Tensor:
        integers = steps.unclipped(values)
        ctx.save_for_backward((integers >= steps.low) & (integers <= steps.high))
        return steps.values(torch.clamp(integers, steps.low, steps.high))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (within,) = ctx.saved_tensors
        return gradients[0] * within, None
