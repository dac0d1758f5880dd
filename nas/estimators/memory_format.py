"""Chooses the memory format that a network is trained in."""

from __future__ import annotations

import torch
from torch import nn

#: Number of input channels below which oneDNN's strided 1×1 convolution may fail; this is its widest channel block.
_CHANNEL_BLOCK = 16


def training_format(
    model: nn.Module, device: torch.device, input_shape: tuple[int, ...], *, channels_last: bool
) -> torch.memory_format:
    """``channels_last`` if it is wanted and safe, else the contiguous format.

    A forward pass may need the contiguous format, for example for ``x.view(len(x), -1)`` after a convolution, so the
    network is tried with two inputs of ``input_shape``, whose batch is ignored; an empty shape tries nothing.

    On x86 processors, the gradient of a strided 1×1 convolution with few input channels writes past its workspace if
    its input is channels_last (https://github.com/uxlfoundation/oneDNN/issues/6035): weights become wrong or the
    process crashes. Networks with such a layer are trained in the contiguous format, with the same results.
    """
    overruns = device.type == "cpu" and any(_overruns(module) for module in model.modules())
    if not channels_last or overruns or (input_shape and not _runs_channels_last(model, device, input_shape)):
        return torch.contiguous_format
    return torch.channels_last


def _runs_channels_last(model: nn.Module, device: torch.device, input_shape: tuple[int, ...]) -> bool:
    """Whether one batch in training mode runs; buffers are restored, and the model stays on ``device``."""
    # Torch's stubs know only the overloads of `to` without a memory format.
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    inputs = torch.zeros(2, *input_shape[1:], device=device).contiguous(memory_format=torch.channels_last)
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    training = [module for module in model.modules() if module.training]
    try:
        with torch.random.fork_rng(), torch.no_grad():
            model.train()(inputs)
    except RuntimeError:
        return False
    finally:
        model.eval()
        for module in training:
            module.training = True
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(before[name])
    return True


def _overruns(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (1, 1)
        and max(module.stride) > 1
        and module.in_channels // module.groups < _CHANNEL_BLOCK
    )
