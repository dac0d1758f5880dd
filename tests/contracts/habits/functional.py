"""Functions instead of modules, with every spelling of arguments that torch accepts."""

import torch
from torch import nn
from torch.nn import functional as F


class OwnParameters(nn.Module):
    """F.conv2d and F.linear with Parameters of the network's own."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(8, in_chans, 3, 3) * 0.3)
        self.shift = nn.Parameter(torch.zeros(8))
        self.matrix = nn.Parameter(torch.randn(num_classes, 8) * 0.3)

    def forward(self, x):
        x = F.conv2d(x, self.kernel, self.shift, stride=2, padding=1)
        return F.linear(F.relu(x).mean((2, 3)), self.matrix)


class Keywords(nn.Module):
    """Every argument passed by keyword."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(8, in_chans, 3, 3) * 0.3)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(in_features=16, out_features=num_classes)

    def forward(self, x):
        x = F.conv2d(input=x, weight=self.kernel, padding=1)
        x = F.relu(input=self.norm(input=x))
        x = F.max_pool2d(input=x, kernel_size=2)
        x = F.avg_pool2d(input=x, kernel_size=2, stride=2)
        x = torch.cat(tensors=[x, torch.neg(input=x)], dim=1)
        x = F.adaptive_avg_pool2d(input=x, output_size=1)
        x = torch.flatten(input=x, start_dim=1)
        return self.head(input=F.softplus(input=x))


class ReduceKeywords(nn.Module):
    """Reductions and reshaping by keyword."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.conv = nn.Conv2d(in_chans, 8, 3, padding=1)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        x = self.conv(x).relu()
        gate = torch.sigmoid(input=x.mean(dim=(2, 3), keepdim=True))
        x = torch.mul(input=x, other=gate)
        x = torch.permute(input=x, dims=(0, 2, 3, 1))
        x = torch.transpose(input=x, dim0=1, dim1=3)
        x = torch.mean(input=x, dim=[2, 3])
        return self.head(torch.softmax(input=x, dim=1))


class OldKeywords(nn.Module):
    """The argument names of numpy and of older versions of torch: ``axis``, ``keepdims``."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.conv = nn.Conv2d(in_chans, 8, 3, padding=1)
        self.head = nn.Linear(16, num_classes)

    def forward(self, x):
        x = self.conv(x).relu()
        x = torch.cat([x.mean(axis=(2, 3), keepdims=True), x.amax(dim=(2, 3), keepdim=True)], axis=1)
        return self.head(torch.squeeze(x.sum(axis=3), dim=2))


class OverwritesWhatItNeeds(nn.Module):
    """An in-place change of a value that the gradient of an activation needs."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.first = nn.Conv2d(in_chans, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        x = self.relu(self.first(x))
        y = self.second(x)
        y += x
        y.relu_()
        y.mul_(0.5).add_(0.1)
        F.relu(y, inplace=True)
        return self.head(y.mean((2, 3)))


class InPlace(nn.Module):
    """Operators and functions that change their input in place."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.first = nn.Conv2d(in_chans, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        x = self.relu(self.first(x))
        y = self.second(x)
        y += x
        y.add_(0.1)
        F.relu(y, inplace=True)
        return self.head(y.mean((2, 3)))


class Einsum(nn.Module):
    """torch.einsum as a linear layer and as attention scores."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.conv = nn.Conv2d(in_chans, 8, 4, stride=4)
        self.weight = nn.Parameter(torch.randn(8, 8) * 0.3)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        x = self.conv(x).flatten(2)
        scores = torch.einsum("bct,bcs->bts", x, x).softmax(-1)
        x = torch.einsum("bct,bts->bcs", x, scores)
        return self.head(torch.einsum("bct,dc->bd", x, self.weight))


class Normalize(nn.Module):
    """F.normalize of features, as in metric learning."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.conv = nn.Conv2d(in_chans, 8, 3, padding=1)
        self.middle = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        x = F.normalize(self.conv(x).relu(), dim=1)
        x = self.middle(x).mean((2, 3))
        return self.head(F.normalize(x, p=2.0, dim=-1) * 4.0)


class Interpolate(nn.Module):
    """Resizing by scale and by size, nearest and bilinear."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.first = nn.Conv2d(in_chans, 8, 3, stride=2, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.third = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        x = self.first(x).relu()
        x = self.second(F.interpolate(x, scale_factor=2)).relu()
        x = F.interpolate(input=x, size=(12, 12), mode="bilinear", align_corners=False)
        return self.head(self.third(x).relu().mean((2, 3)))


class FeaturePyramid(nn.Module):
    """A small map brought to the size of a large one, read from its shape."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.fine = nn.Conv2d(in_chans, 8, 3, padding=1)
        self.coarse = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        fine = self.fine(x).relu()
        coarse = F.interpolate(self.coarse(fine), size=fine.shape[2:], mode="bilinear", align_corners=True)
        return self.head((fine + coarse).mean((2, 3)))


class Padding(nn.Module):
    """F.pad and padding modes of layers."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.first = nn.Conv2d(in_chans, 8, 3)
        self.second = nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")
        self.third = nn.Conv2d(8, 8, 3, padding="same")
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        x = self.first(F.pad(x, (1, 1, 1, 1))).relu()
        x = self.second(x).relu()
        return self.head(self.third(x).relu().mean((2, 3)))


class ScaledAttention(nn.Module):
    """F.scaled_dot_product_attention by keyword."""

    def __init__(self, num_classes=10, in_chans=1):
        super().__init__()
        self.patch = nn.Conv2d(in_chans, 8, 4, stride=4)
        self.qkv = nn.Linear(8, 24)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        x = x + F.scaled_dot_product_attention(query=q, key=k, value=v)
        return self.head(x.mean(dim=1))
