"""Arguments and results of forward, and arguments of factories."""

import torch
from torch import nn


class _Net(nn.Module):
    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.conv = nn.Conv2d(in_chans, 8, 3, padding=1)
        self.head = nn.Linear(8, num_classes)


class OptionalArgument(_Net):
    """A second argument of forward that is left out."""

    def forward(self, x, mask=None):
        x = self.conv(x).relu()
        if mask is not None:
            x = x * mask
        return self.head(x.mean((2, 3)))


class DefaultNumber(_Net):
    """A number with a default in forward, which decides a branch."""

    def forward(self, x, scale=2.0, *, twice=False):
        x = self.conv(x).relu() * scale
        if twice:
            x = self.conv(x)
        return self.head(x.mean((2, 3)))


class VariableArguments(_Net):
    """``*args`` and ``**kwargs`` in forward."""

    def forward(self, x, *args, **kwargs):
        if args:
            x = x + args[0]
        if kwargs.get("scale") is not None:
            x = x * kwargs["scale"]
        return self.head(self.conv(x).relu().mean((2, 3)))


class OnlyVariableArguments(_Net):
    """A forward that takes its input from ``*inputs``."""

    def forward(self, *inputs):
        (x,) = inputs
        return self.head(self.conv(x).relu().mean((2, 3)))


class TwoInputs(_Net):
    """A forward that needs a second tensor."""

    def forward(self, x, other):
        return self.head((self.conv(x) + other).relu().mean((2, 3)))


class DictOutput(_Net):
    """A forward that returns a dict."""

    def forward(self, x):
        features = self.conv(x).relu().mean((2, 3))
        return {"logits": self.head(features), "features": features}


class TupleOutput(_Net):
    """A forward that returns a tuple: the answer and something else."""

    def forward(self, x):
        features = self.conv(x).relu().mean((2, 3))
        return self.head(features), features


class OneInATuple(_Net):
    """A forward that returns a tuple of one: the answer."""

    def forward(self, x):
        return (self.head(self.conv(x).relu().mean((2, 3))),)


def keyword_factory(**kwargs):
    """A factory that accepts any keyword argument."""
    return _Plain(kwargs.get("num_classes", 1000), kwargs.get("in_chans", 3))


def variable_factory(*args, **kwargs):
    """A factory of ``*args`` and ``**kwargs``, which passes them on."""
    return _Plain(*args, **kwargs)


def factory_without_classes(in_chans=1):
    """A factory with a fixed number of classes."""
    return _Plain(10, in_chans)


class _Plain(_Net):
    def forward(self, x):
        return self.head(self.conv(x).relu().mean((2, 3)))


class InnerOptional(nn.Module):
    """An optional argument of a module within the network."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(8, 8, 3, padding=1)

        def forward(self, x, skip=None):
            out = self.conv(x).relu()
            return out if skip is None else out + skip

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.stem = nn.Conv2d(in_chans, 8, 3, stride=2, padding=1)
        self.first, self.second = self.Block(), self.Block()
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        x = self.stem(x)
        return self.head(self.second(self.first(x), skip=x).mean((2, 3)))


class TrainingOnlyOutput(_Net):
    """A forward that returns a second output during training, as networks with auxiliary heads do."""

    def forward(self, x):
        features = self.conv(x).relu().mean((2, 3))
        answer = self.head(features)
        return (answer, self.head(torch.tanh(features))) if self.training else answer
