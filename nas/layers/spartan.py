"""Spatial mixing over several receptive fields and channel mixing by complex weights, after SpaRTAN."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from typing import cast

import torch
from timm.layers import LayerScale2d, SEModule
from torch import Tensor, nn

from nas.errors import SpaceError

#: Initial scale of residual branches, as published, and the epsilon of batch and group norms.
START = 1e-5
EPS = 1e-6


class ComplexScale(nn.Module):
    """Treats channels ``2 i`` and ``2 i + 1`` as one complex number and multiplies it by a learned complex number.

    In real numbers, the pair is rotated by the angle of the weight and scaled by its absolute value.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        #: Real and imaginary part of the weight of each pair.
        self.weight = nn.Parameter(torch.randn(channels // 2, 2))

    def factors(self) -> tuple[Tensor, Tensor]:
        """Real factors ``(C, 1, 1)``: those of a channel itself, and those of the other channel of its pair."""
        real, imaginary = self.weight.unbind(1)
        own = torch.stack((real, real), 1)
        partner = torch.stack((-imaginary, imaginary), 1)
        return own.view(-1, 1, 1), partner.view(-1, 1, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, C, H, W)``."""
        batch, channels, height, width = inputs.shape
        pairs = inputs.permute(0, 2, 3, 1).reshape(batch, height, width, channels // 2, 2).contiguous()
        turned = torch.view_as_real(torch.view_as_complex(pairs) * torch.view_as_complex(self.weight))
        return turned.flatten(3).permute(0, 3, 1, 2)


class StrongestChannel(nn.Module):
    """Adds one channel of a pixel to all its channels: the one whose index the largest guide has. No parameters."""

    def forward(self, guide: Tensor, inputs: Tensor) -> Tensor:
        """Guides ``(N, C, H, W)`` and maps of at least C channels → maps of the same shape."""
        return inputs + inputs.gather(1, guide.argmax(1, keepdim=True))


class SpatialMixer(nn.Module):
    """Two gated branches side by side: a ``kernel`` × ``kernel`` convolution, and two dilated ones.

    A 1×1 convolution first halves the channels, and a learned factor scales the difference from the map's mean. Another
    1×1 convolution joins the branches. ``receptive_fields`` are those of the two branches without their gates.
    """

    def __init__(self, channels: int, kernel: int = 3, dilation: int = 2, *, grouped: bool = False) -> None:
        super().__init__()
        half = channels // 2
        groups = half if grouped else 1
        self.receptive_fields = (kernel, 1 + 2 * dilation * (kernel - 1))
        self.project = nn.Conv2d(channels, half, 1)
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.decompose = LayerScale2d(half, START)
        self.near = _convolution(half, kernel, 1, groups)
        first = nn.Conv2d(
            half, half, kernel, padding=_same(kernel, dilation), dilation=dilation, groups=groups, bias=False
        )
        self.far = nn.Sequential(first, *_convolution(half, kernel, dilation, groups))
        self.near_gate, self.far_gate = (SEModule(half, rd_channels=half // 4) for _ in range(2))
        self.join = nn.Conv2d(2 * half, channels, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, C, H, W)``."""
        half = self.project(inputs)
        half = half + self.decompose(half - self.mean(half))
        return cast(Tensor, self.join(torch.cat((self.near_gate(self.near(half)), self.far_gate(self.far(half))), 1)))


class WaveMixer(nn.Module):
    """Mixes channels as waves: amplitudes times phases, plus the strongest channel, rotated by complex weights.

    As in the published code, the index of the strongest channel is found among the C inputs but selects one of the
    first C of ``expansion · C`` channels.
    """

    def __init__(self, channels: int, expansion: int = 4, *, grouped: bool = False) -> None:
        super().__init__()
        wide = expansion * channels
        self.phase = nn.Sequential(nn.Conv2d(channels, wide, 1), nn.GELU())
        self.amplitude = nn.Conv2d(channels, wide, 1)
        self.strongest = StrongestChannel()
        self.turn = ComplexScale(wide)
        self.mix = _convolution(wide, 3, 1, channels if grouped else wide)
        self.gate = SEModule(wide, rd_channels=channels // 4)
        self.project = nn.Conv2d(wide, channels, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, C, H, W)``."""
        waves = self.strongest(inputs, self.amplitude(inputs) * self.phase(inputs))
        return cast(Tensor, self.project(self.gate(self.mix(self.turn(waves)))))


class SpartanBlock(nn.Module):
    """Spatial mixer and wave mixer, each in a scaled residual branch after a norm over the whole map.

    Args:
        channels: number of channels of input and output, a multiple of 8.
        expansion: factor by which the wave mixer widens, at least 2.
        kernel: side of the spatial mixer's convolutions, odd.
        dilation: dilation of the spatial mixer's second branch.
        grouped: the spatial mixer is depthwise and the wave mixer has groups of ``expansion`` channels, as in the later
            half of the paper's stages. If not, the spatial mixer is dense and the wave mixer depthwise, as in the
            earlier half.

    Raises:
        SpaceError: a value that is not allowed.
    """

    def __init__(
        self, channels: int, expansion: int = 4, kernel: int = 3, dilation: int = 2, *, grouped: bool = False
    ) -> None:
        super().__init__()
        if channels % 8 or expansion < 2 or kernel % 2 == 0 or dilation < 1:
            raise SpaceError(
                f"SpartanBlock: {channels} channels, expansion {expansion}, kernel {kernel}, dilation {dilation}; "
                "allowed: multiples of 8, expansions from 2, odd kernels, dilations from 1"
            )
        self.norm1 = nn.GroupNorm(1, channels, eps=EPS)
        self.spatial = SpatialMixer(channels, kernel, dilation, grouped=grouped)
        self.scale1 = LayerScale2d(channels, START)
        self.norm2 = nn.GroupNorm(1, channels, eps=EPS)
        self.wave = WaveMixer(channels, expansion, grouped=grouped)
        self.scale2 = LayerScale2d(channels, START)

    def forward(self, inputs: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, C, H, W)``."""
        inputs = inputs + self.scale1(self.spatial(self.norm1(inputs)))
        return inputs + cast(Tensor, self.scale2(self.wave(self.norm2(inputs))))


def _convolution(channels: int, kernel: int, dilation: int, groups: int) -> nn.Sequential:
    pad = _same(kernel, dilation)
    return nn.Sequential(
        nn.Conv2d(channels, channels, kernel, padding=pad, dilation=dilation, groups=groups, bias=False),
        nn.BatchNorm2d(channels, eps=EPS),
        nn.GELU(),
    )


def _same(kernel: int, dilation: int) -> int:
    return dilation * (kernel // 2)
