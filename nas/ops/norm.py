"""Batch normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from nas.ops import Call, Example, Op

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class BatchNormOp(Op):
    """``nn.BatchNorm2d`` as deployed: with its running statistics. One behind a convolution is folded into it."""

    targets = (nn.BatchNorm2d,)

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """A BatchNormalization, for those that could not be folded."""
        norm = cast("nn.BatchNorm2d", call.module)
        scale, shift = scale_and_shift(norm)
        zeros, ones = torch.zeros_like(scale), torch.ones_like(scale)
        constants = [graph.constant(value.numpy()) for value in (scale, shift, zeros, ones)]
        return graph.node("BatchNormalization", [inputs[0], *constants], epsilon=0.0)

    def attributes(self, call: Call) -> dict[str, Any]:
        """What changes training: momentum and epsilon."""
        norm = cast("nn.BatchNorm2d", call.module)
        return {"eps": norm.eps, "momentum": norm.momentum, "affine": norm.affine}

    def examples(self) -> Sequence[Example]:
        """Alone, with statistics that are not the initial ones; and behind a convolution."""
        return [
            Example("alone", _trained(nn.BatchNorm2d(4)), (2, 4, 5, 5)),
            Example("without_affine", _trained(nn.BatchNorm2d(4, affine=False)), (2, 4, 5, 5)),
            Example(
                "folded", nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), _trained(nn.BatchNorm2d(4))), (2, 3, 7, 7)
            ),
        ]


def scale_and_shift(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """``(C,)`` factors so that the deployed norm is ``x · scale + shift``."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    weight = torch.ones_like(mean) if norm.weight is None else norm.weight
    bias = torch.zeros_like(mean) if norm.bias is None else norm.bias
    scale = (weight / torch.sqrt(variance + norm.eps)).detach()
    return scale, (bias - mean * scale).detach()


def _trained(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    generator = torch.Generator().manual_seed(0)
    for name, tensor in norm.state_dict().items():
        if tensor.is_floating_point():
            values = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(values + 0.5 if name != "running_mean" else values - 0.5)
    return norm
