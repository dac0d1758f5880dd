"""Random weights for networks that are timed before they are trained."""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas.errors import ExportError
from nas.export.ranges import device_of, seeded_inputs
from nas.space.architecture import Network

#: Number of inputs that the statistics of batch norms are computed from.
BATCH = 4


def seed_weights(network: Network, input_shape: tuple[int, ...], seed_text: str) -> None:
    """Give a network random weights from ``seed_text``, so that its file has the latency of a trained one.

    Weights with two or more dimensions are normally distributed, scaled by fan-in for ReLU. Biases are 0, other vectors
    1. The statistics of batch norms are computed from one batch. Without them the signal would vanish (5e-26 after 60
    layers), and outputs could not be compared. The network is in eval mode afterwards.

    Args:
        network: a network with real tensors.
        input_shape: ``(N, C, H, W)``; N has no effect.
        seed_text: any text, for example the identity of the network.

    Raises:
        ExportError: the network is on the meta device.
    """
    model = network.model
    if any(parameter.is_meta for parameter in model.parameters()):
        raise ExportError("the network has shapes only (meta device); build it before seeding weights")
    seed = int.from_bytes(hashlib.sha256(seed_text.encode()).digest()[:7], "big")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            _fill(name, parameter, generator)
        _settle_norms(model, input_shape, seed)


def _fill(name: str, parameter: Tensor, generator: torch.Generator) -> None:
    if parameter.dim() >= 2:
        fan_in = parameter[0].numel()
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * math.sqrt(2.0 / fan_in))
    else:
        parameter.fill_(0.0 if name.rpartition(".")[2] == "bias" else 1.0)


def _settle_norms(model: nn.Module, input_shape: tuple[int, ...], seed: int) -> None:
    """Run one batch with only batch norms in training mode, so that dropout stays off."""
    model.eval()
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.running_mean is not None]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        # With this momentum, the statistics are those of the batch alone, not averaged with the initial ones.
        norm.momentum = 1.0
        norm.train()
    try:
        model(seeded_inputs(input_shape, BATCH, seed).to(device_of(model)))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.eval()
