"""Weights that are computed from other parameters in every call: weight norms, parametrizations."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.nn.utils.spectral_norm import SpectralNorm, remove_spectral_norm
from torch.nn.utils.weight_norm import WeightNorm, remove_weight_norm

from nas.errors import SpaceError
from nas.space.modes import evaluating


def is_computed(module: nn.Module, name: str = "weight") -> bool:
    """Whether an attribute that is usually a parameter is computed from other parameters."""
    return name not in module._parameters and isinstance(getattr(module, name, None), Tensor)


def use_parametrizations(model: nn.Module) -> None:
    """Replace torch's older weight norms and pruning, which are hooks, by equivalent parametrizations.

    Layers with such hooks can't be copied, and their weight is not known without calling them.

    Raises:
        SpaceError: a hook of the user's own computes a weight.
    """
    for path, module in model.named_modules():
        for hook in list(module._forward_pre_hooks.values()):
            _replace(module, hook)
        by_hook = is_computed(module) and not parametrize.is_parametrized(module, "weight")
        if by_hook and isinstance(module, nn.Conv2d | nn.Linear):
            raise SpaceError(
                f"{path}.weight is no parameter: a hook computes it, so nothing tells which weight ships; compute it "
                "with torch.nn.utils.parametrize instead"
            )


def write_computed(model: nn.Module) -> None:
    """Turn every computed tensor into an ordinary parameter with its value in evaluation mode.

    Parametrizations of policies (``of_policy``) are left to those policies.
    """
    with evaluating(model), torch.no_grad():
        for module in list(model.modules()):
            if parametrize.is_parametrized(module):
                _write(module)


def _write(module: nn.Module) -> None:
    stacked: Any = module.parametrizations
    for name in list(stacked):
        if any(getattr(item, "of_policy", False) for item in stacked[name]):
            continue
        if isinstance(getattr(stacked[name], "original", None), nn.Parameter):
            # Removing the parametrization overwrites it, and other modules may share it.
            kept = stacked[name].original
            stacked[name].original = nn.Parameter(kept.detach().clone(), requires_grad=kept.requires_grad)
        parametrize.remove_parametrizations(module, name, leave_parametrized=True)


def _replace(module: nn.Module, hook: object) -> None:
    if isinstance(hook, WeightNorm):
        trained = getattr(module, f"{hook.name}_v").requires_grad
        remove_weight_norm(module, hook.name)
        parametrizations.weight_norm(module, hook.name, hook.dim)
        _train(module, hook.name, trained)
    elif isinstance(hook, SpectralNorm):
        trained = getattr(module, f"{hook.name}_orig").requires_grad
        value = getattr(module, f"{hook.name}_orig").detach()
        remove_spectral_norm(module, hook.name)
        with torch.no_grad():
            getattr(module, hook.name).copy_(value)
        parametrizations.spectral_norm(module, hook.name, hook.n_power_iterations, hook.eps, hook.dim)
        _train(module, hook.name, trained)
    elif isinstance(hook, prune.BasePruningMethod):
        prune.remove(module, hook._tensor_name)  # type: ignore[no-untyped-call]


def _train(module: nn.Module, name: str, trained: bool) -> None:
    stacked: Any = module.parametrizations
    for parameter in stacked[name].parameters(recurse=False):
        parameter.requires_grad_(trained)
