"""LS convolution, after LSNet: every pixel has a small kernel of its own, predicted from its large surroundings."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.errors import SpaceError

#: Side of the predicted kernels.
SMALL = 3
TAPS = SMALL * SMALL


class LocalAggregation(nn.Module):
    """Convolves each pixel with a 3×3 kernel of its own; zero padding, no parameters.

    All channels ``c`` with the same ``c mod (C / groups)`` share a kernel.
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, inputs: Tensor, kernels: Tensor) -> Tensor:
        """``(N, C, H, W)`` and kernels ``(N, 9 C / groups, H, W)``, 9 adjacent elements each → ``(N, C, H, W)``."""
        outputs: Tensor = _Aggregation.apply(inputs, kernels, self.groups)  # type: ignore[no-untyped-call]
        channels_last = inputs.is_contiguous(memory_format=torch.channels_last)
        return outputs.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)

    def plain_forward(self, inputs: Tensor, kernels: Tensor) -> Tensor:
        """``forward`` in few calls of torch; it takes nine times the memory."""
        batch, channels, height, width = inputs.shape
        shared = channels // self.groups
        neighbours = F.unfold(inputs, SMALL, padding=SMALL // 2).view(batch, self.groups, shared, TAPS, height, width)
        weighted = neighbours * kernels.reshape(batch, 1, shared, TAPS, height, width)
        return weighted.sum(3).flatten(1, 2)


class LSConv(nn.Module):
    """LS convolution: a perception by large kernels predicts the small kernels of an aggregation.

    Perception: a 1×1 convolution to half of the channels, a depthwise ``kernel`` × ``kernel`` and a 1×1 convolution,
    each with batch norm, then a 1×1 convolution with group norm to the small kernels. The aggregation is followed by a
    batch norm, and its input is added. With h = C / 2 and m = 9 C / groups the layer has ``C h + h kernel² + h² + h m +
    6 h + 3 m + 2 C`` parameters. The layers of the perception are sites. The aggregation has no weights; its products
    count as elementwise work, not as multiply-accumulates.

    Args:
        channels: number of channels of input and output.
        kernel: side of the large kernel, odd.
        groups: number of channels that share a small kernel.

    Raises:
        SpaceError: odd channels, an even kernel, or groups that do not divide the channels.
    """

    def __init__(self, channels: int, kernel: int = 7, groups: int = 8) -> None:
        super().__init__()
        if channels % 2 or groups < 1 or channels % groups or kernel % 2 == 0:
            raise SpaceError(
                f"LSConv: {channels} channels, kernel {kernel}, {groups} groups; allowed: even channels that the "
                "groups divide, and odd kernels"
            )
        half, predicted = channels // 2, TAPS * channels // groups
        self.perception = nn.Sequential(
            *(nn.Conv2d(channels, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU()),
            *(nn.Conv2d(half, half, kernel, padding=kernel // 2, groups=half, bias=False), nn.BatchNorm2d(half)),
            *(nn.Conv2d(half, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU()),
            *(nn.Conv2d(half, predicted, 1), nn.GroupNorm(channels // groups, predicted)),
        )
        self.aggregation = LocalAggregation(groups)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, inputs: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, C, H, W)``."""
        return cast(Tensor, self.norm(self.aggregation(inputs, self.perception(inputs)))) + inputs


class _Aggregation(torch.autograd.Function):
    """The aggregation: for each of 9 positions, a shifted view of the padded map times a view of the kernels.

    No unfolded copy of the map is made. Backward consists of differentiable calls on the arguments of forward, so
    second derivatives work too.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, kernels: Tensor, groups: int) -> Tensor:
        ctx.save_for_backward(inputs, kernels)
        ctx.groups = groups
        padded, shared = _by_groups(inputs, kernels, groups)
        outputs = torch.zeros_like(_shifted(padded, 0))
        for tap in range(TAPS):
            outputs.addcmul_(_shifted(padded, tap), shared[:, :, :, tap])
        return outputs.flatten(1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        inputs, kernels = ctx.saved_tensors
        padded, shared = _by_groups(inputs, kernels, ctx.groups)
        gradient = gradients[0].contiguous().view(_shifted(padded, 0).shape)
        of_padded, of_shared = torch.zeros_like(padded), []
        for tap in range(TAPS):
            _shifted(of_padded, tap).addcmul_(gradient, shared[:, :, :, tap])
            of_shared.append((_shifted(padded, tap) * gradient).sum(1))
        return of_padded[..., 1:-1, 1:-1].flatten(1, 2), torch.stack(of_shared, 2).flatten(1, 2), None


def _by_groups(inputs: Tensor, kernels: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """The padded map ``(N, groups, C / groups, H + 2, W + 2)`` and kernels ``(N, 1, C / groups, 9, H, W)``."""
    batch, channels, height, width = inputs.shape
    padded = F.pad(inputs.contiguous(), (1, 1, 1, 1))
    return (
        padded.view(batch, groups, channels // groups, height + 2, width + 2),
        kernels.contiguous().view(batch, 1, channels // groups, TAPS, height, width),
    )


def _shifted(padded: Tensor, tap: int) -> Tensor:
    """For each pixel, the neighbour at this position of the kernel: a view ``(…, H + 2, W + 2)`` → ``(…, H, W)``."""
    row, column = divmod(tap, SMALL)
    return padded[..., row : row + padded.shape[-2] - 2, column : column + padded.shape[-1] - 2]
