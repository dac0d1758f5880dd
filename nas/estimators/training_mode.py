"""Training mode of networks that may have frozen layers."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def enter_training_mode(model: nn.Module) -> None:
    """Set training mode, but keep batch norms with frozen parameters in evaluation mode, with fixed statistics."""
    model.train()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            parameters = list(module.parameters())
            if parameters and not any(parameter.requires_grad for parameter in parameters):
                module.eval()
