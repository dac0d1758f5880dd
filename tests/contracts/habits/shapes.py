"""Reshaping: views, flattening, arithmetic on shapes."""

import torch
from torch import nn
from torch.nn import functional as F


class _Net(nn.Module):
    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.first = nn.Conv2d(in_chans, 6, 5, padding=2)
        self.second = nn.Conv2d(6, 16, 5, padding=2)
        self.head = nn.Linear(16 * 4 * 4, num_classes)

    def maps(self, x):
        x = F.max_pool2d(F.relu(self.first(x)), 2)
        return F.max_pool2d(F.relu(self.second(x)), 2)


class ViewBehindConv(_Net):
    """``x.view(x.size(0), -1)`` after a convolution, as in tutorials."""

    def forward(self, x):
        x = self.maps(x)
        return self.head(x.view(x.size(0), -1))


class ViewOfLiteral(_Net):
    """``x.view(-1, 16 * 4 * 4)``."""

    def forward(self, x):
        return self.head(self.maps(x).view(-1, 16 * 4 * 4))


class ReshapeOfLiteral(_Net):
    """``x.reshape(-1, 256)``."""

    def forward(self, x):
        return self.head(torch.reshape(self.maps(x), (-1, 256)))


class FeaturesProperty(_Net):
    """The number of features computed from the shape by multiplication, as in torch's first tutorial."""

    def forward(self, x):
        x = self.maps(x)
        return self.head(x.view(-1, self.num_flat_features(x)))

    def num_flat_features(self, x):
        count = 1
        for size in x.size()[1:]:
            count *= size
        return count


class FlattenKeywords(_Net):
    """``torch.flatten(x, start_dim=1)``."""

    def forward(self, x):
        return self.head(torch.flatten(self.maps(x), start_dim=1))


class FlattenMiddle(nn.Module):
    """Only the last two dimensions flattened, followed by a layer over tokens."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.conv = nn.Conv2d(in_chans, 8, 4, stride=4)
        self.mix = nn.Linear(16, 16)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        x = self.conv(x).relu().flatten(2, -1)
        return self.head(self.mix(x).relu().mean(-1))


class NormBehindFlatten(nn.Module):
    """Batch norm of a flattened map."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.conv = nn.Conv2d(in_chans, 16, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.norm = nn.BatchNorm1d(16 * 16)
        self.head = nn.Linear(16 * 16, num_classes)

    def forward(self, x):
        return self.head(self.norm(self.pool(self.conv(x).relu()).flatten(1)))


class Unflatten(nn.Module):
    """nn.Flatten, a layer, and nn.Unflatten back to a map."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(in_chans, 4, 4, stride=4), nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Unflatten(1, (4, 4, 4))
        )
        self.last = nn.Conv2d(4, 8, 3)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        return self.head(self.last(self.body(x)).relu().mean((2, 3)))


class ChannelShuffle(nn.Module):
    """Shuffled channels, by view and transpose with sizes taken from the shape."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.first = nn.Conv2d(in_chans, 8, 3, stride=2, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        x = self.first(x).relu()
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
        return self.head(self.second(x).relu().mean((2, 3)))


class PatchTokens(nn.Module):
    """Tokens by ``flatten(2).transpose(1, 2)``, a class token, and a position for each."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.patch = nn.Conv2d(in_chans, 16, 4, stride=4)
        self.token = nn.Parameter(torch.zeros(1, 1, 16))
        self.position = nn.Parameter(torch.randn(1, 17, 16) * 0.1)
        self.mix = nn.Linear(16, 16)
        self.head = nn.Linear(16, num_classes)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.token.expand(x.shape[0], -1, -1), x), dim=1) + self.position
        return self.head(self.mix(x).relu().mean(1))


class ContiguousSensitive(nn.Module):
    """A view of permuted dimensions, made contiguous by hand."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.conv = nn.Conv2d(in_chans, 8, 4, stride=4)
        self.head = nn.Linear(8 * 16, num_classes)

    def forward(self, x):
        x = self.conv(x).relu().permute(0, 2, 3, 1).contiguous()
        return self.head(x.view(x.shape[0], -1))


class SqueezeAll(nn.Module):
    """``squeeze()`` without a dimension."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.conv = nn.Conv2d(in_chans, 8, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool2d((1, 1))
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        return self.head(self.pool(self.conv(x).relu()).squeeze(-1).squeeze(-1))
