"""One parameter under several names, or used in several places."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils.parametrizations import spectral_norm


class SharedLayer(nn.Module):
    """One convolution that is called twice."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.stem = nn.Conv2d(in_chans, 8, 3, stride=2, padding=1)
        self.again = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        x = self.stem(x).relu()
        x = self.again(self.again(x).relu()).relu()
        return self.head(x.mean((2, 3)))


class SharedModule(nn.Module):
    """One layer object under two attribute names."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.stem = nn.Conv2d(in_chans, 8, 3, stride=2, padding=1)
        self.first = nn.Conv2d(8, 8, 3, padding=1)
        self.second = self.first
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        x = self.stem(x).relu()
        return self.head(self.second(self.first(x).relu()).relu().mean((2, 3)))


class TiedModules(nn.Module):
    """Two convolutions with one Parameter."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.stem = nn.Conv2d(in_chans, 8, 3, stride=2, padding=1)
        self.a = nn.Conv2d(8, 8, 3, padding=1)
        self.b = nn.Conv2d(8, 8, 3, padding=1)
        self.b.weight = self.a.weight
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        x = self.b(self.a(self.stem(x).relu()).relu()).relu()
        return self.head(x.mean((2, 3)))


class TiedTranspose(nn.Module):
    """An autoencoder whose decoder reads the encoder's weight transposed."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.encoder = nn.Linear(in_chans * 256, 16)
        self.head = nn.Linear(in_chans * 256, num_classes)

    def forward(self, x):
        x = x.flatten(1)
        code = self.encoder(x).relu()
        return self.head(F.linear(code, self.encoder.weight.t()) + x)


class TiedFunctional(nn.Module):
    """A layer's weight that a function uses a second time."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.stem = nn.Conv2d(in_chans, 8, 3, stride=2, padding=1)
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        x = self.conv(self.stem(x).relu()).relu()
        x = F.conv2d(x, self.conv.weight, padding=2, dilation=2).relu()
        return self.head(x.mean((2, 3)))


class TiedParameterAlias(nn.Module):
    """A Parameter that is also a layer's weight, read under its own name."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.embed = nn.Linear(in_chans * 256, 16)
        self.table = nn.Parameter(torch.randn(16, 16) * 0.2)
        self.mix = nn.Linear(16, 16)
        self.mix.weight = self.table
        self.head = nn.Linear(16, num_classes)

    def forward(self, x):
        x = self.mix(self.embed(x.flatten(1)).relu()).relu()
        return self.head(x @ self.table)


class OldWeightNorm(nn.Module):
    """torch.nn.utils.weight_norm, which recomputes ``weight`` in a hook."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        with_norm = nn.utils.weight_norm
        self.first = with_norm(nn.Conv2d(in_chans, 8, 3, stride=2, padding=1))
        self.second = with_norm(nn.Conv2d(8, 8, 3, padding=1))
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu().mean((2, 3)))


class WeightNorm(nn.Module):
    """Weight normalisation as a parametrization."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.first = parametrizations.weight_norm(nn.Conv2d(in_chans, 8, 3, stride=2, padding=1))
        self.second = parametrizations.weight_norm(nn.Conv2d(8, 8, 3, padding=1))
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu().mean((2, 3)))


class SpectralNorm(nn.Module):
    """Spectral normalisation as a parametrization."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.first = nn.Conv2d(in_chans, 8, 3, stride=2, padding=1)
        self.second = spectral_norm(nn.Conv2d(8, 8, 3, padding=1))
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu().mean((2, 3)))


class OldSpectralNorm(nn.Module):
    """torch.nn.utils.spectral_norm, by a hook."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.first = nn.Conv2d(in_chans, 8, 3, stride=2, padding=1)
        self.second = nn.utils.spectral_norm(nn.Conv2d(8, 8, 3, padding=1))
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu().mean((2, 3)))


class _Symmetric(nn.Module):
    def forward(self, weight):
        return (weight + weight.transpose(0, 1)) / 2


class OwnParametrization(nn.Module):
    """A parametrization of the user's own."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.stem = nn.Linear(in_chans * 256, 16)
        self.mix = nn.Linear(16, 16)
        parametrize.register_parametrization(self.mix, "weight", _Symmetric())
        self.head = nn.Linear(16, num_classes)

    def forward(self, x):
        return self.head(self.mix(self.stem(x.flatten(1)).relu()).relu())


class StandardizedConv(nn.Conv2d):
    """A subclass of Conv2d that standardises its weight whenever it is called."""

    def forward(self, x):
        weight = self.weight
        mean = weight.mean((1, 2, 3), keepdim=True)
        std = weight.std((1, 2, 3), keepdim=True) + 1e-5
        return F.conv2d(x, (weight - mean) / std, self.bias, self.stride, self.padding, self.dilation, self.groups)


class WeightStandardization(nn.Module):
    """A subclass of a layer with a forward of its own."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.first = nn.Conv2d(in_chans, 8, 3, stride=2, padding=1)
        self.second = StandardizedConv(8, 8, 3, padding=1)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        return self.head(self.second(self.first(x).relu()).relu().mean((2, 3)))


class TiedEmbeddingHead(nn.Module):
    """A classifier that shares its weight with an earlier layer, as language models tie input and output embeddings."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.stem = nn.Linear(in_chans * 256, num_classes)
        self.gate = nn.Linear(num_classes, in_chans * 256)
        self.head = nn.Linear(in_chans * 256, num_classes)
        self.head.weight = self.stem.weight

    def forward(self, x):
        x = x.flatten(1)
        return self.head(self.gate(self.stem(x).relu()).sigmoid() * x)
