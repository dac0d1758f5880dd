"""Batch normalisation; exporters fold it into the layer before where they can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from nas.ops import Call, Example, Op, Shape

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d


class BatchNormOp(Op):
    """``nn.BatchNorm2d`` and ``nn.BatchNorm1d`` with running statistics."""

    targets = (nn.BatchNorm2d, nn.BatchNorm1d)

    def shape(self, call: Call) -> Shape | None:
        """That of the input."""
        dimensions = 4 if isinstance(call.module, nn.BatchNorm2d) else 2
        shape = call.input_shapes[0]
        fits = len(shape) == dimensions and shape[1] == _norm(call).num_features
        return shape if fits else None

    def covers(self, call: Call) -> bool:
        """Running statistics only: a deployed network must not depend on its batch."""
        return _norm(call).running_mean is not None

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """One ``BatchNormalization``."""
        scale, shift = scale_and_shift(_norm(call))
        zeros, ones = torch.zeros_like(shift), torch.ones_like(shift)
        values = [graph.constant(tensor.numpy()) for tensor in (scale, shift, zeros, ones)]
        # Statistics are already within scale and shift, so nothing is added to the variance of one.
        return graph.node("BatchNormalization", [inputs[0], *values], epsilon=0.0)

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``."""
        norm = _norm(call)
        return {"eps": norm.eps, "momentum": norm.momentum, "affine": norm.affine}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        return [
            Example("map", nn.Sequential(shaken(nn.BatchNorm2d(4))), (2, 4, 5, 3)),
            Example("not_affine", nn.Sequential(shaken(nn.BatchNorm2d(4, affine=False))), (2, 4, 5, 3)),
            Example("vector", nn.Sequential(shaken(nn.BatchNorm1d(6, eps=0.1))), (3, 6)),
        ]


def scale_and_shift(norm: BatchNorm) -> tuple[Tensor, Tensor]:
    """``(C,)`` each, float32 on the processor: in eval mode the layer computes ``input * scale + shift``."""
    mean, variance = cast(Tensor, norm.running_mean).double(), cast(Tensor, norm.running_var).double()
    scale = torch.rsqrt(variance + norm.eps)
    if norm.affine:
        scale = scale * norm.weight.double()
    shift = -mean * scale
    if norm.affine:
        shift = shift + norm.bias.double()
    return scale.detach().float().cpu(), shift.detach().float().cpu()


def _norm(call: Call) -> BatchNorm:
    return cast(BatchNorm, call.module)


def shaken(norm: BatchNorm) -> BatchNorm:
    """For examples: with other than neutral statistics and weights."""
    generator = torch.Generator().manual_seed(0)
    tensors = [norm.running_mean, norm.running_var, *norm.parameters()]
    with torch.no_grad():
        for tensor in tensors:
            cast(Tensor, tensor).copy_(torch.rand(norm.num_features, generator=generator) + 0.5)
    return norm
