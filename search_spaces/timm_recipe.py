"""How ``timm.create_model`` builds a network."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip

from typing import Any

import timm
from torch import nn


def record_recipe(model: nn.Module, architecture: str, **arguments: Any) -> None:
    """Record on a model with which arguments ``timm.create_model`` builds it, in the attributes that timm itself uses.

    The export format ``timm`` needs them.
    """
    recorded: Any = model
    recorded.pretrained_cfg = timm.get_pretrained_cfg(architecture).to_dict()
    recorded._model_args = arguments
