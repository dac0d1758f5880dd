"""Copies a network without its masks and rounding, and copies weights back; the user's parametrizations stay."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from nas.quantization.aware import RoundedWeight
from nas.sparsity.mask import Mask


def dense_copy(model: nn.Module) -> nn.Module:
    """A copy of a network that uses the original weights, without masks and rounding, under ordinary names."""
    copied = copy.deepcopy(model)
    for module in list(copied.modules()):
        if parametrize.is_parametrized(module):
            _undo(module)
    return copied


def take_weights(model: nn.Module, dense: nn.Module) -> None:
    """Load the state of a ``dense_copy`` into ``model``, as the original weights under its masks and rounding."""
    model.load_state_dict(dense.state_dict(), strict=False)
    with torch.no_grad():
        for path, module in model.named_modules():
            if parametrize.is_parametrized(module):
                stacked: Any = module.parametrizations
                for name in stacked:
                    twin = dense.get_submodule(path)
                    if not parametrize.is_parametrized(twin, name):
                        stacked[name].original.copy_(getattr(twin, name))


def _undo(module: nn.Module) -> None:
    stacked: Any = module.parametrizations
    for name in list(stacked):
        for index in reversed(range(len(stacked[name]))):
            if isinstance(stacked[name][index], Mask | RoundedWeight):
                del stacked[name][index]
    empty = {name: stacked[name].original for name in list(stacked) if not len(stacked[name])}
    if len(empty) < len(stacked):
        for name in empty:
            stacked[name].append(nn.Identity())
        return
    # Torch's own function would delete the parametrized attribute from the class, which the original module shares.
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module.parametrizations
    for name, original in empty.items():
        module.register_parameter(name, original)
