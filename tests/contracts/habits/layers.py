"""Unusual layers, and common layers with unusual settings."""

import torch
from torch import nn


class _Net(nn.Module):
    """A stem, the layer under test, a convolution, a classifier."""

    def __init__(self, num_classes, in_chans, middle, width=8, last=None):
        super().__init__()
        self.stem = nn.Conv2d(in_chans, 8, 3, stride=2, padding=1)
        self.middle = middle
        self.last = nn.Conv2d(last or width, 8, 3, padding=1)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        return self.head(self.last(self.middle(self.stem(x).relu())).relu().mean((2, 3)))


def grouped_transposed_convolution(num_classes=10, in_chans=1):
    """ConvTranspose2d in groups, with output padding."""
    return _Net(num_classes, in_chans, nn.ConvTranspose2d(8, 8, 3, stride=2, padding=1, output_padding=1, groups=2))


def transposed_convolution(num_classes=10, in_chans=1):
    """ConvTranspose2d."""
    return _Net(num_classes, in_chans, nn.ConvTranspose2d(8, 12, 2, stride=2), 12)


def average_pool_divisor(num_classes=10, in_chans=1):
    """Average pooling with ``divisor_override``."""
    return _Net(num_classes, in_chans, nn.AvgPool2d(3, 2, 1, divisor_override=4))


def average_pool_ceil(num_classes=10, in_chans=1):
    """Average pooling with ceil_mode that does not count padding."""
    return _Net(num_classes, in_chans, nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False))


def average_pool_ceil_counted(num_classes=10, in_chans=1):
    """Average pooling with ceil_mode that counts padding."""
    return _Net(num_classes, in_chans, nn.AvgPool2d(3, 2, 1, ceil_mode=True))


def dilated_max_pool(num_classes=10, in_chans=1):
    """Max pooling with dilation."""
    return _Net(num_classes, in_chans, nn.MaxPool2d(2, stride=2, dilation=2))


def pixel_shuffle(num_classes=10, in_chans=1):
    """PixelShuffle."""
    return _Net(num_classes, in_chans, nn.PixelShuffle(2), 2)


def group_norm(num_classes=10, in_chans=1):
    """GroupNorm."""
    return _Net(num_classes, in_chans, nn.GroupNorm(4, 8))


def instance_norm(num_classes=10, in_chans=1):
    """InstanceNorm with parameters and running statistics."""
    return _Net(num_classes, in_chans, nn.InstanceNorm2d(8, affine=True, track_running_stats=True))


def layer_norm_of_map(num_classes=10, in_chans=1):
    """LayerNorm over a whole map."""
    return _Net(num_classes, in_chans, nn.LayerNorm([8, 8, 8]))


def prelu(num_classes=10, in_chans=1):
    """PReLU with a parameter for each channel."""
    return _Net(num_classes, in_chans, nn.PReLU(8))


def depthwise_multiplier(num_classes=10, in_chans=1):
    """A depthwise convolution with two outputs for each input."""
    return _Net(num_classes, in_chans, nn.Conv2d(8, 16, 3, padding=1, groups=8), 16)


def dropouts(num_classes=10, in_chans=1):
    """Dropout and Dropout2d as modules."""
    return _Net(num_classes, in_chans, nn.Sequential(nn.Dropout(0.2), nn.Dropout2d(0.1)))


def upsample(num_classes=10, in_chans=1):
    """nn.Upsample, bilinear."""
    return _Net(num_classes, in_chans, nn.Upsample(scale_factor=2, mode="bilinear"))


def local_response_norm(num_classes=10, in_chans=1):
    """LocalResponseNorm, as AlexNet has."""
    return _Net(num_classes, in_chans, nn.LocalResponseNorm(3))


def softmax_without_dim(num_classes=10, in_chans=1):
    """Softmax over channels within a network."""
    return _Net(num_classes, in_chans, nn.Softmax(dim=1))


class MultiheadAttention(nn.Module):
    """torch's own attention."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.patch = nn.Conv2d(in_chans, 8, 4, stride=4)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        return self.head(self.attention(x, x, x)[0].mean(1))


class Transformer(nn.Module):
    """torch's own encoder layer."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.patch = nn.Conv2d(in_chans, 8, 4, stride=4)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        return self.head(self.encoder(self.patch(x).flatten(2).transpose(1, 2)).mean(1))


class Recurrent(nn.Module):
    """A GRU over the rows of the image."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.gru = nn.GRU(in_chans * 16, 12, batch_first=True)
        self.head = nn.Linear(12, num_classes)

    def forward(self, x):
        rows = x.permute(0, 2, 1, 3).flatten(2)
        _, state = self.gru(rows)
        return self.head(state[-1])


class Bilinear(nn.Module):
    """nn.Bilinear and Conv1d over flattened maps."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.conv = nn.Conv2d(in_chans, 8, 4, stride=4)
        self.one = nn.Conv1d(8, 8, 3, padding=1)
        self.both = nn.Bilinear(8, 8, num_classes)

    def forward(self, x):
        x = self.one(self.conv(x).flatten(2)).relu()
        return self.both(x.mean(-1), torch.amax(x, -1))
