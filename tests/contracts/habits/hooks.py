"""Hooks that change what a layer or the network computes."""

from torch import nn


def _add_one(module, inputs, output):
    return output + 1.0


def _halve(module, inputs):
    return (inputs[0] * 0.5,)


def _standardise(module, inputs):
    return ((inputs[0] - 0.5) / 0.5,)


class _Net(nn.Module):
    def __init__(self, num_classes, in_chans):
        super().__init__()
        self.conv = nn.Conv2d(in_chans, 8, 3, stride=2, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        return self.head(self.second(self.conv(x).relu()).relu().mean((2, 3)))


def hook_on_layer(num_classes=10, in_chans=1):
    """A forward hook that changes a layer's output."""
    net = _Net(num_classes, in_chans)
    net.second.register_forward_hook(_add_one)
    return net


def pre_hook_on_layer(num_classes=10, in_chans=1):
    """A forward pre-hook that changes a layer's input."""
    net = _Net(num_classes, in_chans)
    net.second.register_forward_pre_hook(_halve)
    return net


def pre_hook_on_network(num_classes=10, in_chans=1):
    """A forward pre-hook on the whole network."""
    net = _Net(num_classes, in_chans)
    net.register_forward_pre_hook(_standardise)
    return net


def hook_on_network(num_classes=10, in_chans=1):
    """A forward hook on the whole network."""
    net = _Net(num_classes, in_chans)
    net.register_forward_hook(_add_one)
    return net


class HookThatLooks(_Net):
    """A hook that changes nothing: it keeps a feature map for later."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__(num_classes, in_chans)
        self.conv.register_forward_hook(self._keep)

    def _keep(self, module, inputs, output):
        self.features = output
