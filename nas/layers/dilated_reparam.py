"""Large depthwise kernels trained beside dilated small ones and shipped as one convolution, after UniRepLKNet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from nas.errors import SpaceError
from nas.layers.depthwise import depthwise
from nas.space.site import Site


@dataclass(frozen=True)
class Dilated:
    """The kernel of a branch, with holes between its elements."""

    size: int
    dilation: int

    @property
    def span(self) -> int:
        """Side of the kernel including its holes."""
        return self.dilation * (self.size - 1) + 1


#: Large kernel → sizes and dilations of the branches that are trained beside it, as published.
PUBLISHED: dict[int, tuple[Dilated, ...]] = {
    kernel: tuple(Dilated(size, dilation) for size, dilation in zip(sizes, dilations, strict=True))
    for kernel, sizes, dilations in (
        (5, (3, 3), (1, 2)),
        (7, (5, 3, 3), (1, 2, 3)),
        (9, (5, 5, 3, 3), (1, 2, 3, 4)),
        (11, (5, 5, 3, 3, 3), (1, 2, 3, 4, 5)),
        (13, (5, 7, 3, 3, 3), (1, 2, 3, 4, 5)),
        (15, (5, 7, 3, 3, 3), (1, 2, 3, 5, 7)),
        (17, (5, 9, 3, 3, 3), (1, 2, 4, 5, 7)),
    )
}


def branches(kernel: int) -> tuple[Dilated, ...]:
    """The branches that are trained beside a kernel of this size.

    The published table ends at 17. Larger kernels get branches in the same proportions as at 17: a dense 5×5, a kernel
    of dilation 2 that is as wide as the large kernel, and three 3×3 whose outer elements are a quarter, a third and a
    half of the large kernel's size away from its centre.

    Raises:
        SpaceError: an even kernel, or one below 5.
    """
    if kernel < 5 or kernel % 2 == 0:
        raise SpaceError(f"DilatedReparam: kernel {kernel}; allowed: odd numbers from 5")
    if kernel in PUBLISHED:
        return PUBLISHED[kernel]
    wide = (kernel + 1) // 2
    spread = [Dilated(3, dilation) for dilation in (kernel // 4, kernel // 3, (kernel - 1) // 2)]
    return (Dilated(5, 1), Dilated(wide - 1 + wide % 2, 2), *spread)


class DilatedReparam(nn.Module):
    """Depthwise convolution by a large kernel and, in training, by the ``branches`` beside it.

    In training, it is the sum of the large kernel and the branches, each with a batch norm. In evaluation and in a
    deployed file, it is one convolution (``merged``). Parameters and multiply-accumulates are counted as deployed, but
    with the batch norm of the large kernel.

    Args:
        channels: number of channels of input and output.
        kernel: side of the large kernel; see ``branches``.

    Raises:
        SpaceError: an even kernel, or one below 5.
    """

    training_only = ("branches",)

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.channels, self.kernel = channels, kernel
        self.dilated = branches(kernel)
        # It is not called `weight`: rounding or masking it would not round or mask the merged weight that ships.
        self.large = _depthwise_layer(channels, Dilated(kernel, 1))
        self.norm = nn.BatchNorm2d(channels)
        self.branches = nn.ModuleList(
            nn.Sequential(_depthwise_layer(channels, branch), nn.BatchNorm2d(channels)) for branch in self.dilated
        )

    def sites(self, path: str) -> list[Site]:
        """Weight and activation of the merged convolution; the weight is dense, as merging would lose a mask."""
        return [
            Site("weight", path, tuple(self.large.weight.shape), dense=True),
            Site("activation", path, (self.channels,)),
        ]

    def forward(self, inputs: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, C, H, W)``."""
        # `self.training` can't tell: only batch norms are in training mode while statistics are gathered.
        return self.branched(inputs) if self.norm.training else depthwise(inputs, *self.merged())

    def branched(self, inputs: Tensor) -> Tensor:
        """The sum of all branches, each through its batch norm: ``(N, C, H, W)`` → ``(N, C, H, W)``."""
        total = cast(Tensor, self.norm(depthwise(inputs, self.large.weight)))
        for branch, (convolution, norm) in zip(self.dilated, self._pairs(), strict=True):
            total = total + norm(depthwise(inputs, convolution.weight, dilation=branch.dilation))
        return total

    def deployed(self, inputs: Tensor, weight: Tensor) -> Tensor:
        """The convolution that ships, with this weight and without bias: ``(N, C, H, W)`` → ``(N, C, H, W)``."""
        return depthwise(inputs, weight)

    def merged(self) -> tuple[Tensor, Tensor]:
        """Weight ``(C, 1, K, K)`` and bias ``(C,)`` of the one convolution that equals the block in evaluation."""
        weight, bias = _folded(self.large.weight, self.norm)
        for branch, (convolution, norm) in zip(self.dilated, self._pairs(), strict=True):
            taps, shift = _folded(convolution.weight, norm)
            first = (self.kernel - branch.span) // 2
            place = slice(first, first + branch.span, branch.dilation)
            weight[:, :, place, place] += taps
            bias = bias + shift
        return weight, bias

    def _pairs(self) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        return [cast(tuple[nn.Conv2d, nn.BatchNorm2d], tuple(cast(nn.Sequential, pair))) for pair in self.branches]


def _depthwise_layer(channels: int, kernel: Dilated) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel.size, dilation=kernel.dilation, groups=channels, bias=False)


def _folded(weight: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of the convolution with its batch norm folded in."""
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    return weight * scale.view(-1, 1, 1, 1), norm.bias - mean * scale
