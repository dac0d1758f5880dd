"""A network without its masks and rounding, and back."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize


def dense_copy(model: nn.Module) -> nn.Module:
    """A copy that computes with the weights behind parametrizations, under ordinary names."""
    copied = copy.deepcopy(model)
    for module in list(copied.modules()):
        if parametrize.is_parametrized(module):
            _undo(module)
    return copied


def take_weights(model: nn.Module, dense: nn.Module) -> None:
    """Put the state of a ``dense_copy`` behind the masks and the rounding of ``model``."""
    model.load_state_dict(dense.state_dict(), strict=False)
    with torch.no_grad():
        for path, module in model.named_modules():
            if parametrize.is_parametrized(module):
                stacked: Any = module.parametrizations
                for name in stacked:
                    stacked[name].original.copy_(getattr(dense.get_submodule(path), name))


def _undo(module: nn.Module) -> None:
    # Torch's own way would take the parametrized attribute from the class, which the copied module shares.
    stacked: Any = module.parametrizations
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module.parametrizations
    for name, parametrized in stacked.items():
        module.register_parameter(name, parametrized.original)
