"""Training mode of a network of which a part may be frozen."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def enter_training_mode(model: nn.Module) -> None:
    """Training mode; a batch norm whose parameters are frozen normalises by its statistics and keeps them."""
    model.train()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            parameters = list(module.parameters())
            if parameters and not any(parameter.requires_grad for parameter in parameters):
                module.eval()
