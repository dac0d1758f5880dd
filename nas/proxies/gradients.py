"""Gradients of the weights of an untrained network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas.errors import ProxyError
from nas.proxies import Sample


def weights_of(model: nn.Module) -> list[nn.Parameter]:
    """The trainable weights of convolutions, linear layers and the like: all with two or more dimensions.

    The scores of learned masks do not count.
    """
    return [
        parameter
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if parameter.dim() >= 2 and parameter.requires_grad and name not in getattr(module, "training_only", ())
    ]


def normalize_by_batch(model: nn.Module) -> None:
    """Let batch norms use the statistics of each batch, as in the first training step; dropout stays off."""
    model.eval()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.train()


def weight_gradients(model: nn.Module, sample: Sample) -> list[Sequence[Tensor]]:
    """For each weight that the loss depends on, its gradient in every minibatch.

    Raises:
        ProxyError: the loss depends on no weight.
    """
    normalize_by_batch(model)
    weights = weights_of(model)
    found: list[list[Tensor]] = [[] for _ in weights]
    for inputs, targets in sample.batches:
        loss = sample.loss(model(inputs), targets)
        if not loss.requires_grad or not weights:
            raise ProxyError("its loss depends on no trainable weight")
        for place, gradient in enumerate(torch.autograd.grad(loss, weights, allow_unused=True)):
            if gradient is not None:
                found[place].append(gradient)
    return [gradients for gradients in found if gradients]
