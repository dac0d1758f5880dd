"""Constructors that read values, lazy and half-precision layers, buffers, unused layers."""

import numpy as np
import torch
from torch import nn


class LooksAtValues(nn.Module):
    """Drop rates computed by torch.linspace and read with .item()."""

    def __init__(self, num_classes=10, in_chans=1, depth=3, drop=0.2):
        super().__init__()
        rates = [rate.item() for rate in torch.linspace(0, drop, depth)]
        layers, width = [], in_chans
        for rate in rates:
            layers += [nn.Conv2d(width, 8, 3, padding=1), nn.ReLU(), nn.Dropout(rate)]
            width = 8
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


class LooksAsList(nn.Module):
    """Widths from ``.tolist()`` and a filter from ``.numpy()``."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        widths = torch.linspace(8, 16, 2).int().tolist()
        self.first = nn.Conv2d(in_chans, widths[0], 3, padding=1)
        self.second = nn.Conv2d(widths[0], widths[1], 3, padding=1)
        window = np.outer(torch.hann_window(5).numpy(), torch.hann_window(5).numpy())
        self.register_buffer("blur", torch.from_numpy(window).float()[None, None])
        self.head = nn.Linear(widths[1], num_classes)

    def forward(self, x):
        x = nn.functional.conv2d(self.first(x).mean(1, keepdim=True), self.blur, padding=2)
        return self.head(self.second(x.expand(-1, self.second.in_channels, -1, -1)).relu().mean((2, 3)))


class ScalesItself(nn.Module):
    """A constructor that asserts on and rescales the weights it has drawn."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.conv = nn.Conv2d(in_chans, 8, 3, padding=1)
        self.head = nn.Linear(8, num_classes)
        with torch.no_grad():
            if float(self.conv.weight.std()) > 0.1:
                self.conv.weight.mul_(0.1 / float(self.conv.weight.std()))
        assert torch.isfinite(self.conv.weight).all()

    def forward(self, x):
        return self.head(self.conv(x).relu().mean((2, 3)))


class Lazy(nn.Module):
    """Layers whose input size is known only at the first call."""

    def __init__(self, num_classes=10):
        super().__init__()
        self.conv = nn.LazyConv2d(8, 3, padding=1)
        self.norm = nn.LazyBatchNorm2d()
        self.head = nn.LazyLinear(num_classes)

    def forward(self, x):
        return self.head(self.norm(self.conv(x)).relu().mean((2, 3)))


class HalfPrecision(nn.Module):
    """A network that is made in half precision."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.conv = nn.Conv2d(in_chans, 8, 3, padding=1)
        self.head = nn.Linear(8, num_classes)
        self.half()

    def forward(self, x):
        return self.head(self.conv(x.half()).relu().mean((2, 3))).float()


def half_precision_inputs(num_classes=10, in_chans=1):
    """A half-precision network that expects half-precision inputs."""
    return nn.Sequential(nn.Conv2d(in_chans, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, num_classes)).half()


class DoublePrecision(nn.Module):
    """A network in double precision."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.conv = nn.Conv2d(in_chans, 8, 3, padding=1)
        self.head = nn.Linear(8, num_classes)
        self.double()

    def forward(self, x):
        return self.head(self.conv(x.double()).relu().mean((2, 3)))


class Buffers(nn.Module):
    """Mean and deviation of the data as buffers, one of them not persistent."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.register_buffer("mean", torch.full((1, in_chans, 1, 1), 0.3))
        self.register_buffer("std", torch.full((1, in_chans, 1, 1), 0.5), persistent=False)
        self.conv = nn.Conv2d(in_chans, 8, 3, padding=1)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        return self.head(self.conv((x - self.mean) / self.std).relu().mean((2, 3)))


class PlainTensorAttribute(nn.Module):
    """A tensor kept as an ordinary attribute, neither parameter nor buffer."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.mean = torch.tensor([0.3]).view(1, 1, 1, 1)
        self.conv = nn.Conv2d(in_chans, 8, 3, padding=1)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        return self.head(self.conv(x - self.mean).relu().mean((2, 3)))


class ConstantsInForward(nn.Module):
    """Tensors that forward makes: coordinates and zeros."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.conv = nn.Conv2d(in_chans + 1, 8, 3, padding=1)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        rows = torch.arange(x.shape[2], device=x.device, dtype=x.dtype) / x.shape[2]
        rows = rows.view(1, 1, -1, 1).expand(x.size(0), 1, x.size(2), x.size(3))
        x = self.conv(torch.cat([x, rows], 1)).relu().mean((2, 3))
        return self.head(x + torch.zeros(x.size(0), 8, device=x.device))


class UnusedLayers(nn.Module):
    """A layer that is defined and never called, and one whose result is ignored."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.conv = nn.Conv2d(in_chans, 8, 3, padding=1)
        self.old = nn.Conv2d(in_chans, 32, 7)
        self.probe = nn.Conv2d(8, 4, 1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        x = self.conv(x).relu()
        self.probe(x)
        return self.head(self.second(x).relu().mean((2, 3)))


class NestedContainers(nn.Module):
    """Sequentials within lists within dicts."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b)), nn.ReLU())
            for a, b in ((in_chans, 8), (8, 8))
        )
        self.heads = nn.ModuleDict({"main": nn.Linear(8, num_classes), "other": nn.Linear(8, 3)})

    def forward(self, x):
        for stage in self.stages:
            x = stage(x)
        answers = {name: head(x.mean((2, 3))) for name, head in self.heads.items()}
        return answers["main"]


class ParameterLists(nn.Module):
    """Kernels in a ParameterList."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.kernels = nn.ParameterList(torch.randn(8, c, 3, 3) * 0.3 for c in (in_chans, 8))
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        for kernel in self.kernels:
            x = nn.functional.conv2d(x, kernel, padding=1).relu()
        return self.head(x.mean((2, 3)))


def fewer_arguments():
    """A factory without arguments, whose network nevertheless fits this task."""
    return UnusedLayers()
