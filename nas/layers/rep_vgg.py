"""timm's blocks of RepVGG and MobileOne, which train in branches and ship as one convolution."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from typing import cast

import torch
from timm.models.byobnet import MobileOneBlock, RepVggBlock
from torch import Tensor, nn
from torch.nn import functional as F

from nas.layers.norm import BatchNorm
from nas.space.site import Site


class RepVgg(RepVggBlock):  # type: ignore[misc]
    """timm's block of RepVGG (Ding et al. 2021): 3×3, 1×1 and identity, each with a batch norm.

    In evaluation and in a deployed file, it is one convolution and the activation. It is counted as its 3×3 convolution
    with the batch norm.
    """

    training_only = ("conv_1x1", "identity")

    def sites(self, path: str) -> list[Site]:
        """Weight and activation of the merged convolution; the weight is dense, as merging would lose a mask."""
        return _sites(self, path)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, C', H / stride, W / stride)``."""
        return cast(Tensor, super().forward(x)) if _is_training(self) else _merged_forward(self, x)


class MobileOne(MobileOneBlock):  # type: ignore[misc]
    """timm's block of MobileOne (Vasu et al. 2023): several k×k, a 1×1 and the identity; otherwise as ``RepVgg``.

    It is counted as the sum of its k×k convolutions.
    """

    training_only = ("conv_scale", "identity")

    def sites(self, path: str) -> list[Site]:
        """See ``RepVgg.sites``."""
        return _sites(self, path)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, C', H / stride, W / stride)``."""
        return cast(Tensor, super().forward(x)) if _is_training(self) else _merged_forward(self, x)


Block = RepVgg | MobileOne
_MERGING: dict[type[nn.Module], type[nn.Module]] = {RepVggBlock: RepVgg, MobileOneBlock: MobileOne}


def merge_when_deployed(model: nn.Module) -> None:
    """Make timm's blocks of these kinds ship as one convolution, in place; their tensors keep their names.

    Blocks that have attention between branches and activation, and blocks that are merged already, are not changed.
    """
    for module in model.modules():
        merging = _MERGING.get(type(module))
        if merging is not None and isinstance(module.attn, nn.Identity) and module.reparam_conv is None:
            # The subclass has no state of its own, so the class of an object can be replaced by it.
            module.__class__ = merging


def merged(block: Block) -> tuple[Tensor, Tensor]:
    """Weight ``(C', C / groups, K, K)`` and bias ``(C',)`` of the convolution that equals the block in evaluation."""
    main = main_of(block)
    size = main.kernel_size[0]
    weight, bias = torch.zeros_like(main.weight), torch.zeros_like(main.weight[:, 0, 0, 0])
    for conv, norm in branches_of(block):
        taps, shift = _folded(conv.weight, norm)
        weight, bias = weight + F.pad(taps, [(size - conv.kernel_size[0]) // 2] * 4), bias + shift
    if block.identity is not None:
        taps, shift = _folded(_identity(main), block.identity)
        weight, bias = weight + taps, bias + shift
    return weight, bias


def branches_of(block: Block) -> list[tuple[nn.Conv2d, BatchNorm]]:
    """The branches that have a convolution, each with its batch norm; a k×k convolution comes first."""
    if isinstance(block, RepVgg):
        parts = [block.conv_kxk, block.conv_1x1]
    else:
        parts = [*block.conv_kxk, *([block.conv_scale] if block.conv_scale is not None else [])]
    return [(part.conv, part.bn) for part in parts]


def main_of(block: Block) -> nn.Conv2d:
    """The k×k convolution that the others are merged into."""
    return branches_of(block)[0][0]


def _is_training(block: Block) -> bool:
    # `self.training` can't tell: only batch norms are in training mode while statistics are gathered.
    return any(norm.training for _, norm in branches_of(block))


def _merged_forward(block: Block, inputs: Tensor) -> Tensor:
    main, (weight, bias) = main_of(block), merged(block)
    outputs = F.conv2d(inputs, weight, bias, main.stride, main.padding, main.dilation, main.groups)
    return cast(Tensor, block.act(outputs))


def _identity(main: nn.Conv2d) -> Tensor:
    """The kernel of a convolution that returns its input."""
    kernel, centre = torch.zeros_like(main.weight), main.kernel_size[0] // 2
    channels = torch.arange(main.out_channels, device=kernel.device)
    kernel[channels, channels % (main.in_channels // main.groups), centre, centre] = 1.0
    return kernel


def _folded(weight: Tensor, norm: BatchNorm) -> tuple[Tensor, Tensor]:
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    return weight * scale.view(-1, 1, 1, 1), norm.bias - mean * scale


def _sites(block: Block, path: str) -> list[Site]:
    main = main_of(block)
    return [
        Site("weight", path, tuple(main.weight.shape), dense=True),
        Site("activation", path, (main.in_channels,)),
    ]
