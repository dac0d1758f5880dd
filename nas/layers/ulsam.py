"""Subspace attention, after ULSAM (Saini et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.errors import SpaceError
from nas.space.site import Site


class Ulsam(nn.Module):
    """Divides the channels into ``groups`` equal parts and multiplies each part by one plus its own attention map.

    The attention map of a part: depthwise 1×1, batch norm, ReLU; 3×3 max-pooling; 1×1 to one channel, batch norm, ReLU;
    softmax over H·W. Grouped convolutions compute all parts at once. They add ``4·C + 2·groups`` parameters. Difference
    from the paper: they have no biases, because the batch norms would cancel them. The layers are small and computed in
    floats, so their weights are not sites of policies.

    Raises:
        SpaceError: ``groups`` does not divide ``channels``.
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        if groups < 1 or channels % groups:
            raise SpaceError(f"Ulsam: {groups} groups of {channels} channels; allowed: divisors of {channels}")
        self.channels = channels
        self.groups = groups
        self.depthwise = nn.Conv2d(channels, channels, 1, groups=channels, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(channels)
        self.pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.point = nn.Conv2d(channels, groups, 1, groups=groups, bias=False)
        self.point_norm = nn.BatchNorm2d(groups)

    def maps(self, inputs: Tensor) -> Tensor:
        """``(N, C, H, W)`` → attention maps ``(N, groups, H, W)``, each with the sum 1."""
        features = self.pool(torch.relu(self.depthwise_norm(self.depthwise(inputs))))
        points = torch.relu(self.point_norm(self.point(features)))
        return torch.softmax(points.flatten(2), dim=2).view_as(points)

    def forward(self, inputs: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, C, H, W)``."""
        batch, channels, height, width = inputs.shape
        parts = inputs.reshape(batch, self.groups, channels // self.groups, height, width)
        return (parts * (1.0 + self.maps(inputs).unsqueeze(2))).flatten(1, 2)

    def sites(self, path: str) -> list[Site]:
        """No sites; see the class."""
        return []
