"""Spatial mixing over several receptive fields and channel mixing by complex weights, after SpaRTAN."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from typing import cast

import torch
from timm.layers import LayerScale2d, SEModule
from torch import Tensor, nn

from nas.errors import SpaceError

#: Where the scales of residual branches start, as published; and what batch and group norms add to the variance.
START = 1e-5
EPS = 1e-6


class ComplexScale(nn.Module):
    """Multiplies channels ``2 i`` and ``2 i + 1``, taken as one complex number, by a learned complex number.

    In real numbers that is a rotation and a scale of the pair, by the angle and the size of the weight.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        #: Real and imaginary part for each pair.
        self.weight = nn.Parameter(torch.randn(channels // 2, 2))

    def factors(self) -> tuple[Tensor, Tensor]:
        """The same in real numbers, ``(C, 1, 1)`` each: what a channel is multiplied with, and what its partner."""
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
    """Adds to every channel of a pixel the one whose number the pixel's largest guide has; no parameters."""

    def forward(self, guide: Tensor, inputs: Tensor) -> Tensor:
        """``(N, C, H, W)`` guides maps of at least C channels; returns maps of those."""
        return inputs + inputs.gather(1, guide.argmax(1, keepdim=True))


class SpatialMixer(nn.Module):
    """Half of the channels through a ``kernel`` × ``kernel`` and through two dilated ones, each gated; both joined.

    What goes in is first decomposed: its difference from the map's mean is scaled by a learned factor.
    ``receptive_fields`` are those of the two branches, without their gates.
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
    """Mixes channels as waves: amplitudes times phases, the strongest channel's added, turned by complex weights.

    As published the number of the strongest channel is one of the C inputs and is looked up among the first C of
    ``expansion · C`` channels.
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
    """Spatial and wave mixer, each behind a norm over the whole map and in a scaled residual.

    Args:
        channels: of input and output, a multiple of 8.
        expansion: of the wave mixer, from 2.
        kernel: of the spatial mixer's convolutions, odd.
        dilation: of its far branch.
        grouped: depthwise spatial mixing and groups of ``expansion`` in the wave mixer, as in the paper's later half
            of stages; else full spatial mixing and a depthwise wave mixer, as in the earlier half.

    Raises:
        SpaceError: a value outside these.
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
