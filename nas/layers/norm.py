"""What the layers here take for a batch norm."""

from __future__ import annotations

from torch import nn

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d
