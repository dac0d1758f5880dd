"""Replaces activations that a file writes as several operations by torch's single function."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import fx
from torch.nn import functional as F

#: √2 rounded to 32 bits, as files contain it.
_SQRT_2 = float(np.float32(2**0.5))


def fuse(module: fx.GraphModule) -> fx.GraphModule:
    """Replace the activations SiLU, Mish and GELU in a module, in place, and return it."""
    for pattern, replacement in ((_silu, F.silu), (_mish, F.mish), (_gelu, F.gelu)):
        fx.replace_pattern(module, pattern, _calling(replacement))
    return module


def _calling(function: Any) -> Any:
    def replacement(value: Any) -> Any:
        return function(value)

    return replacement


def _silu(value: Any) -> Any:
    return value * torch.sigmoid(value)


def _mish(value: Any) -> Any:
    return value * torch.tanh(F.softplus(value))


def _gelu(value: Any) -> Any:
    return value * (torch.erf(value / _SQRT_2) + 1.0) * 0.5
