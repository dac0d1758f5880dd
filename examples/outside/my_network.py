"""A network of your own: an ordinary residual network for small images."""

from __future__ import annotations

from torch import Tensor, nn


class Block(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        """``(N, inputs, H, W)`` → ``(N, outputs, H / stride, W / stride)``."""
        hidden = self.norm1(self.conv1(inputs)).relu()
        return (self.norm2(self.conv2(hidden)) + self.shortcut(inputs)).relu()  # type: ignore[no-any-return]


class SmallResNet(nn.Module):
    """A stem, three stages, a classifier: about 80,000 parameters."""

    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(in_chans, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.layer1 = Block(16, 16)
        self.layer2 = Block(16, 32, stride=2)
        self.layer3 = Block(32, 64, stride=2)
        self.head = nn.Linear(64, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """``(N, in_chans, H, W)`` → ``(N, num_classes)``."""
        return self.head(self.layer3(self.layer2(self.layer1(self.stem(inputs)))).mean((2, 3)))  # type: ignore[no-any-return]
