"""Weights for networks that are timed before they are trained."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

from nas.space import Network


def seed_weights(network: Network, input_shape: tuple[int, ...], key: str) -> None:
    """Fill a network with weights that depend on ``key`` alone, and let one batch through its batch norms.

    Without that batch a signal fades to nothing within some tens of layers, and numbers too small to be normal are
    slow on some processors: the file would time differently from a trained one.
    """
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:6], "big")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.model.parameters():
            if parameter.dim() > 1:
                fan_in = parameter[0].numel()
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * (2 / fan_in) ** 0.5)
        norms = [module for module in network.model.modules() if isinstance(module, nn.BatchNorm2d)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 1.0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed % 2**31)
            network.model.train()
            network.model(torch.randn(8, *input_shape[1:], generator=generator))
        network.model.eval()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
