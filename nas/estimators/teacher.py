"""A trained network that another network learns from, besides the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Teacher:
    """A trained network and the weights of its part in the loss; see ``nas.estimators.distillation``."""

    #: ``(N, C, H, W)`` → outputs of the same shape as the student's; it gets the student's inputs.
    model: nn.Module
    #: Text that identifies the network and its weights.
    identity: str
    temperature: float
    hard_weight: float
    soft_weight: float
