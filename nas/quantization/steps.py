"""Conversion between values and integers; all rounding, in training, files and checks, is done here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from nas.quantization.scheme import Scheme

#: Largest integer of an 8-bit weight, with 7 bits (the default) or all 8. x86 processors without VNNI add two u8 × s8
#: products in 16 bits, which weights of all 8 bits overflow.
WEIGHT_LIMIT, FULL_WEIGHT_LIMIT = 64, 127
#: Smallest valid scale; a smaller one means that the value is always zero.
_NOTHING = 1e-30


@dataclass(frozen=True)
class Steps:
    """``value = (integer - zero_point) * scale`` with integers from ``low`` to ``high``; zero is exact."""

    #: Float32, of a shape that broadcasts over the values.
    scale: Tensor
    #: Int32, of the same shape as ``scale``.
    zero_point: Tensor
    low: int
    high: int

    def integers(self, values: Tensor) -> Tensor:
        """Nearest integers within the range, ties to even, as a float tensor."""
        return torch.clamp(self.unclipped(values), self.low, self.high)

    def unclipped(self, values: Tensor) -> Tensor:
        """Nearest integers without clipping to the range, as a float tensor."""
        return torch.round(values / self.scale) + self.zero_point

    def values(self, integers: Tensor) -> Tensor:
        """The values that integers represent."""
        return (integers - self.zero_point) * self.scale

    def fake_quantize(self, values: Tensor) -> Tensor:
        """Round values to steps; the gradient passes through for values within the range."""
        return _Rounded.apply(values, self)  # type: ignore[no-any-return, no-untyped-call]


def activation_steps(low: Tensor | float, high: Tensor | float, scheme: Scheme) -> Steps:
    """Unsigned 8-bit steps that cover the range ``low`` … ``high`` and zero.

    Asymmetric: 256 steps cover the range, including both ends unless one is nearer to zero than half a step. Symmetric:
    the zero point is 128 if values may be negative, and 0 otherwise. Signed integers are not used: they are slow on
    x86, and half of them would be unused after a ReLU.
    """
    low, high = (torch.as_tensor(bound, dtype=torch.float32) for bound in (low, high))
    low, high = torch.clamp(low, max=0.0), torch.clamp(high, min=0.0)
    if scheme.activations == "symmetric":
        signed = low < 0.0
        scale = _used(torch.where(signed, torch.maximum(-low, high) / 127.0, high / 255.0))
        return Steps(scale, torch.where(signed, 128, 0).int(), 0, 255)
    zero_point = torch.clamp(torch.round(-low / _used((high - low) / 255.0)), 0, 255)
    # The scale is computed from the rounded zero point, so that both ends stay in the range. The plain scale would
    # put pixels, which have 256 values too, on ties if their mean lies between two of them, and runtimes round ties
    # differently.
    below = torch.where(zero_point > 0, -low / zero_point.clamp(min=1), 0.0)
    above = torch.where(zero_point < 255, high / (255 - zero_point).clamp(min=1), 0.0)
    return Steps(_used(torch.maximum(below, above)), zero_point.int(), 0, 255)


def weight_groups(weight: Tensor, scheme: Scheme, bits: int) -> Tensor:
    """Reshape weights ``(O, …)`` to ``(O, blocks, block)``; the weights of a block share a scale.

    If blocks do not divide an output channel, it is one block, because OpenVINO refuses a smaller last block.
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
    """Round weights ``(O, …)`` to the values that their 8 or 4 bits represent; zeros stay zeros."""
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
    """Rounds in the forward pass; the backward pass uses the gradient of clipping (straight-through estimator)."""

    @staticmethod
    def forward(ctx: FunctionCtx, values: Tensor, steps: Steps) -> Tensor:
        integers = steps.unclipped(values)
        ctx.save_for_backward((integers >= steps.low) & (integers <= steps.high))
        return steps.values(torch.clamp(integers, steps.low, steps.high))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (within,) = ctx.saved_tensors
        return gradients[0] * within, None
