"""Depthwise convolution with kernels of any size that trains fast on CPUs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def depthwise(inputs: Tensor, weight: Tensor, bias: Tensor | None = None, dilation: int = 1) -> Tensor:
    """Depthwise convolution ``(N, C, H, W)`` → ``(N, C, H, W)`` with zero padding and stride 1.

    On CPUs, oneDNN is slow for large kernels in two ways. In the contiguous format a convolution can be ten times
    slower than in channels_last, and in any format the gradient of the weight gets slower with the size of the kernel.
    This function therefore computes in channels_last, whatever the format of ``inputs``, and computes that gradient by
    matrix products. The output has the format of ``inputs``.

    Args:
        inputs: ``(N, C, H, W)``.
        weight: ``(C, 1, K, K)``, K odd.
        bias: ``(C,)``.
        dilation: distance between two elements of the kernel.
    """
    if inputs.device.type != "cpu":
        return _conv(inputs, weight, bias, dilation)
    channels_last = inputs.contiguous(memory_format=torch.channels_last)
    outputs: Tensor = _Depthwise.apply(channels_last, weight, bias, dilation)  # type: ignore[no-untyped-call]
    return outputs if channels_last is inputs else outputs.contiguous()


def _conv(inputs: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    padding = dilation * (weight.shape[-1] - 1) // 2
    return F.conv2d(inputs, weight, bias, padding=padding, dilation=dilation, groups=len(weight))


class _Depthwise(torch.autograd.Function):
    """The convolution; its backward consists of differentiable calls, so second derivatives work too."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.dilation = dilation
        return _conv(inputs, weight.contiguous(memory_format=torch.channels_last), bias, dilation)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        (gradient,) = gradients
        inputs, weight = ctx.saved_tensors
        of_inputs, of_weight, of_bias, _ = ctx.needs_input_grad
        return (
            depthwise(gradient, weight.flip(2, 3), None, ctx.dilation) if of_inputs else None,
            _weight_gradient(inputs, gradient, weight.shape[-1], ctx.dilation) if of_weight else None,
            gradient.sum((0, 2, 3)) if of_bias else None,
            None,
        )


def _weight_gradient(inputs: Tensor, gradient: Tensor, size: int, dilation: int) -> Tensor:
    """Gradient of the weight, ``(C, 1, size, size)``.

    An element is the sum over N, H and W of ``gradient`` times ``inputs`` shifted to the element's position. For each
    row of the kernel and each channel, one matrix product gives the sums for all pairs of columns of ``gradient`` and
    ``inputs``; the elements of the row are the sums over diagonals of this product.
    """
    _, channels, height, width = inputs.shape
    pad = dilation * (size - 1) // 2
    rows = F.pad(inputs.permute(1, 2, 0, 3), (pad, pad, 0, 0, pad, pad))  # (C, H + 2 pad, N, W + 2 pad)
    columns = gradient.permute(1, 2, 0, 3).reshape(channels, -1, width).transpose(1, 2)  # (C, W, H N)
    taps = range(0, size * dilation, dilation)
    products = torch.stack([torch.bmm(columns, rows[:, tap : tap + height].flatten(1, 2)) for tap in taps], dim=1)
    channel, row, column, place = products.stride()  # (C, size, W, W + 2 pad)
    strides = (channel, row, column + place, dilation * place)
    return products.as_strided((channels, size, width, size), strides).sum(2)[:, None]
