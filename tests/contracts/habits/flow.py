"""Randomness and control flow in forward."""

import torch
from torch import nn
from torch.nn import functional as F


class _Net(nn.Module):
    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.conv = nn.Conv2d(in_chans, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, num_classes)


class DropoutLeftOn(_Net):
    """F.dropout without its training flag: it also drops at random in evaluation mode."""

    def forward(self, x):
        x = self.second(F.dropout(self.conv(x).relu(), 0.3)).relu()
        return self.head(x.mean((2, 3)))


class DropoutWithFlag(_Net):
    """F.dropout with its training flag, as intended."""

    def forward(self, x):
        x = self.second(F.dropout(self.conv(x).relu(), p=0.3, training=self.training)).relu()
        return self.head(x.mean((2, 3)))


class StochasticDepth(_Net):
    """A branch dropped at random while training."""

    def forward(self, x):
        x = self.conv(x).relu()
        if self.training:
            keep = (torch.rand(x.shape[0], 1, 1, 1, device=x.device) < 0.8).to(x.dtype)
            x = x + self.second(x) * keep / 0.8
        else:
            x = x + self.second(x)
        return self.head(x.mean((2, 3)))


class StochasticDepthLeftOn(_Net):
    """A branch dropped at random in both modes: random in evaluation mode too."""

    def forward(self, x):
        x = self.conv(x).relu()
        x = x + self.second(x) * (torch.rand(x.shape[0], 1, 1, 1, device=x.device) < 0.8).float()
        return self.head(x.mean((2, 3)))


class BranchOnShape(_Net):
    """A branch on the image size, and a loop whose length is the image size."""

    def forward(self, x):
        if x.shape[-1] % 2 == 1:
            x = F.pad(x, (0, 1, 0, 1))
        x = self.conv(x).relu()
        while x.shape[-1] > 4:
            x = F.max_pool2d(self.second(x).relu(), 2)
        assert x.dim() == 4, "a map"
        return self.head(x.mean((2, 3)))


class BranchOnValues(_Net):
    """A branch on computed values, which no graph can represent."""

    def forward(self, x):
        x = self.conv(x).relu()
        if x.mean() > 0.5:
            x = x * 0.5
        return self.head(self.second(x).mean((2, 3)))


class ChecksInput(_Net):
    """Checks of the input, as libraries write them."""

    def forward(self, x):
        if not torch.is_tensor(x) or x.ndim != 4:
            raise ValueError("images, please")
        b, _, h, w = x.shape
        if h != w:
            raise ValueError(f"square images, not {h}×{w}")
        x = self.second(self.conv(x).relu()).relu()
        return self.head(F.avg_pool2d(x, (h, w)).view(b, -1))


class Checkpointed(_Net):
    """Gradient checkpointing."""

    def forward(self, x):
        x = torch.utils.checkpoint.checkpoint(self._body, x, use_reentrant=False)
        return self.head(x.mean((2, 3)))

    def _body(self, x):
        return self.second(self.conv(x).relu()).relu()


class DropsGradient(_Net):
    """``detach`` and ``no_grad`` within forward."""

    def forward(self, x):
        with torch.no_grad():
            x = x * 2.0 - 1.0
        x = self.conv(x).relu()
        return self.head((self.second(x) + x.detach()).relu().mean((2, 3)))


class RaisesInForward(_Net):
    """An error in forward: the shapes do not fit."""

    def forward(self, x):
        return self.head(self.second(x).flatten(1))


class RaisesInConstructor(nn.Module):
    """An error in the constructor."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.layers = [nn.Conv2d(in_chans, 8, 3)][num_classes]
