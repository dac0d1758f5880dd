"""Subspace attention, after ULSAM (Saini et al. 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from nas.errors import SpaceError
from nas.export.onnx_graph import as_array
from nas.ops import Call, Example, Op, Shape
from nas.ops.norm import scale_and_shift, shaken
from nas.papers import Paper
from nas.space.site import Site

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class Ulsam(nn.Module):
    """Multiplies each of ``groups`` equal parts of the channels by one plus its own attention map.

    A part's map: depthwise 1×1, batch norm, ReLU; 3×3 max-pooling; 1×1 to one channel, batch norm, ReLU; softmax over
    H·W. All parts are computed at once by grouped convolutions. These add ``4·C + 2·groups`` parameters; they have
    no biases, which the paper's have but the batch norms take away. What it computes is small and in floats: its
    weights are no sites of policies.

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
        """``(N, C, H, W)`` → the attention maps ``(N, groups, H, W)``, each of sum 1."""
        features = self.pool(torch.relu(self.depthwise_norm(self.depthwise(inputs))))
        points = torch.relu(self.point_norm(self.point(features)))
        return torch.softmax(points.flatten(2), dim=2).view_as(points)

    def forward(self, inputs: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, C, H, W)``."""
        batch, channels, height, width = inputs.shape
        parts = inputs.reshape(batch, self.groups, channels // self.groups, height, width)
        return (parts * (1.0 + self.maps(inputs).unsqueeze(2))).flatten(1, 2)

    def sites(self, path: str) -> list[Site]:
        """None."""
        return []


class UlsamOp(Op):
    """``Ulsam``: its batch norms folded, one product with the whole input."""

    paper = Paper(14, "ULSAM (Saini et al. 2020)", "tests/unit/nas/ops/test_ulsam.py::test_it_is_the_papers_module")
    targets = (Ulsam,)

    def shape(self, call: Call) -> Shape | None:
        """That of the input."""
        shape = call.input_shapes[0]
        return shape if len(shape) == 4 and shape[1] == _module(call).channels else None

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """Two ``Conv``, ``MaxPool``, ``Softmax``, ``Mul``; what is residual is added to the small maps."""
        module = _module(call)
        _, channels, height, width = call.output_shape
        groups, pixels = module.groups, height * width
        value = _convolution(graph, inputs[0], module.depthwise, module.depthwise_norm)
        value = graph.node("MaxPool", [value], kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])
        value = _convolution(graph, value, module.point, module.point_norm)
        value = graph.node("Softmax", [graph.reshape(value, (0, groups, 1, pixels))], axis=3)
        factors = graph.node("Add", [value, graph.constant(np.float32(1.0))])
        parts = graph.reshape(inputs[0], (0, groups, channels // groups, pixels))
        return graph.reshape(graph.node("Mul", [parts, factors]), (0, channels, height, width))

    def macs(self, call: Call) -> int:
        """Of both convolutions: each sees every element of the input once."""
        return 2 * math.prod(call.output_shape)

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``."""
        return {"groups": _module(call).groups}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        models = {f"groups_{groups}": _shaken(Ulsam(8, groups)) for groups in (1, 2, 8)}
        return [Example(name, nn.Sequential(model), (2, 8, 6, 5)) for name, model in models.items()]


def _module(call: Call) -> Ulsam:
    return cast(Ulsam, call.module)


def _shaken(module: Ulsam) -> Ulsam:
    shaken(module.depthwise_norm)
    shaken(module.point_norm)
    return module


def _convolution(graph: OnnxGraph, value: str, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> str:
    """1×1 convolution, batch norm and ReLU as ``Conv`` and ``Relu``."""
    scale, shift = (tensor.numpy() for tensor in scale_and_shift(norm))
    weight = graph.constant(as_array(conv.weight) * scale.reshape(-1, 1, 1, 1))
    value = graph.node("Conv", [value, weight, graph.constant(shift)], kernel_shape=[1, 1], group=conv.groups)
    return graph.node("Relu", [value])
