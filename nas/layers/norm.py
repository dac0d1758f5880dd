"""The type of batch norms that the layers of this package use."""

from __future__ import annotations

from torch import nn

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d
