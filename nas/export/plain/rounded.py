"""Layers with fewer bits, whose text is copied into the source of networks that have such layers."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class HalfConv2d(nn.Conv2d):
    """A convolution whose weight is stored in 16 bits and computed with in 32 bits."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.weight.data = self.weight.data.half()

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.weight.float(), self.bias
        return F.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)


class HalfLinear(nn.Linear):
    """A linear layer whose weight is stored in 16 bits and computed with in 32 bits."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.weight.data = self.weight.data.half()

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.float(), self.bias)


class Int8(nn.Module):
    """8-bit weights: (integers - zero_point) * scale, with a scale for each output channel."""

    integers: Tensor
    scale: Tensor
    zero_point: Tensor
    bias: Tensor | None

    def __init__(self, shape: tuple[int, ...], bias: bool) -> None:
        super().__init__()
        column = (shape[0], *[1] * (len(shape) - 1))
        self.register_buffer("integers", torch.zeros(shape, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(column))
        self.register_buffer("zero_point", torch.zeros(column, dtype=torch.int8))
        self.register_buffer("bias", torch.zeros(shape[0]) if bias else None)

    def weight(self) -> Tensor:
        return (self.integers.float() - self.zero_point) * self.scale


class Int8Conv2d(Int8):
    """A convolution with 8-bit weights."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        kernel = kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)
        super().__init__((out_channels, in_channels // groups, *kernel), bias)
        self.options = (stride, padding, dilation, groups)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight(), self.bias, *self.options)


class Int8Linear(Int8):
    """A linear layer with 8-bit weights."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__((out_features, in_features), bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight(), self.bias)


class Quantize(nn.Module):
    """Rounds values to unsigned 8-bit integers and back."""

    scale: Tensor
    zero_point: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("zero_point", torch.zeros((), dtype=torch.uint8))

    def forward(self, x: Tensor) -> Tensor:
        integers = (torch.round(x / self.scale) + self.zero_point).clamp(0, 255)
        return (integers - self.zero_point) * self.scale
