"""See large, focus small: a kernel of its own for every pixel, predicted from far around it, after LSNet."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.errors import SpaceError

#: Side of the kernels that are predicted.
SMALL = 3
TAPS = SMALL * SMALL


class LocalAggregation(nn.Module):
    """Sums each pixel's 3×3 surroundings with that pixel's own kernel; zero padding, no parameters.

    Channels ``c`` of equal ``c mod (C / groups)`` share a kernel.
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, inputs: Tensor, kernels: Tensor) -> Tensor:
        """``(N, C, H, W)`` and kernels ``(N, 9 C / groups, H, W)``, the taps of each together → ``(N, C, H, W)``."""
        outputs: Tensor = _Aggregation.apply(inputs, kernels, self.groups)  # type: ignore[no-untyped-call]
        channels_last = inputs.is_contiguous(memory_format=torch.channels_last)
        return outputs.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


class LSConv(nn.Module):
    """LS convolution: large-kernel perception predicts kernels, small-kernel aggregation uses them; batch norm, sum.

    Perception is 1×1 to half of the channels, depthwise ``kernel`` × ``kernel``, 1×1, each with batch norm, and 1×1 to
    the kernels with group norm. With h = C / 2 and m = 9 C / groups it has
    ``C h + h kernel² + h² + h m + 6 h + 3 m + 2 C`` parameters. Layers of the perception are sites; the aggregation
    has no weights, and its products count as elementwise work, not as multiply-accumulates.

    Args:
        channels: of input and output.
        kernel: side of what is perceived, odd.
        groups: channels that share a kernel.

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
    """Tap by tap: a shifted view of the padded map times a view of the kernels. Nothing is unfolded.

    Backward is made of differentiable calls on what forward was given, so there are second derivatives too.
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
    """What each pixel finds at that tap: ``(…, H + 2, W + 2)`` → ``(…, H, W)``, a view."""
    row, column = divmod(tap, SMALL)
    return padded[..., row : row + padded.shape[-2] - 2, column : column + padded.shape[-1] - 2]
