"""Which layout a network's tensors are trained in."""

from __future__ import annotations

import torch
from torch import nn

#: Input channels below which oneDNN's strided 1×1 convolution is not to be trusted: its widest channel block.
_CHANNEL_BLOCK = 16


def training_format(model: nn.Module, device: torch.device, *, channels_last: bool) -> torch.memory_format:
    """``channels_last`` where it is wanted and safe, else the contiguous format.

    On x86 processors the gradient of a strided 1×1 convolution of few input channels writes past its workspace when
    its input is channels_last (https://github.com/uxlfoundation/oneDNN/issues/6035): weights go wrong or the process
    dies. Networks with such a layer are trained in the contiguous format, in which they compute the same.
    """
    overruns = device.type == "cpu" and any(_overruns(module) for module in model.modules())
    return torch.channels_last if channels_last and not overruns else torch.contiguous_format


def _overruns(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (1, 1)
        and max(module.stride) > 1
        and module.in_channels // module.groups < _CHANNEL_BLOCK
    )
