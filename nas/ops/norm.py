"""Batch normalisation, which exporters fold into the layer before it if there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.layers.norm import BatchNorm
from nas.ops import Affine, Call, Channels, Example, Input, Op, Shape

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class BatchNormOp(Op):
    """``nn.BatchNorm2d``, ``nn.BatchNorm1d`` and ``F.batch_norm`` with running statistics.

    The last is how timm's ``BatchNormAct2d`` calls it.
    """

    targets = (nn.BatchNorm2d, nn.BatchNorm1d, F.batch_norm)

    def shape(self, call: Call) -> Shape | None:
        """The shape of the input."""
        shape = call.input_shapes[0]
        if call.module is None:
            return shape
        dimensions = 4 if isinstance(call.module, nn.BatchNorm2d) else 2
        fits = len(shape) == dimensions and shape[1] == _norm(call).num_features
        return shape if fits else None

    def covers(self, call: Call) -> bool:
        """Running statistics only, because a deployed network must not depend on the other inputs of its batch."""
        if call.module is None:
            return {"running_mean", "running_var"} <= operands(call).keys() and not call.argument(5, "training", False)
        return _norm(call).running_mean is not None

    def affine(self, call: Call, constants: Sequence[Tensor | None]) -> Affine | None:
        """See ``Op.affine``."""
        if call.module is not None:
            return Affine(*scale_and_shift(_norm(call)), axis=1)
        given = {name: constants[item.index] for name, item in operands(call).items()}
        known = {name: tensor for name, tensor in given.items() if tensor is not None}
        return Affine(*as_scale_and_shift(**known, eps=eps(call)), axis=1) if known.keys() == given.keys() else None

    def channels(self, call: Call) -> Channels:
        """See ``Op.channels``."""
        return "same"

    def narrow_(self, module: nn.Module, outputs: Tensor | None, inputs: Tensor | None) -> None:
        """See ``Op.narrow_``."""
        assert isinstance(module, BatchNorm)
        assert outputs is not None
        module.num_features = len(outputs)
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if tensor.dim():
                values = tensor.detach()[outputs]
                setattr(module, name, nn.Parameter(values) if isinstance(tensor, nn.Parameter) else values)

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """One ``BatchNormalization``."""
        if call.module is None:
            return self._emit_function(graph, call, inputs)
        scale, shift = scale_and_shift(_norm(call))
        zeros, ones = torch.zeros_like(shift), torch.ones_like(shift)
        values = [graph.constant(tensor.numpy()) for tensor in (scale, shift, zeros, ones)]
        # The statistics are part of scale and shift, so mean 0, variance 1 and epsilon 0 remain.
        return graph.node("BatchNormalization", [inputs[0], *values], epsilon=0.0)

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``."""
        if call.module is None:
            given = {name: item.index for name, item in operands(call).items()}
            return {"eps": eps(call), "momentum": call.argument(6, "momentum", 0.1), "operands": given}
        norm = _norm(call)
        return {"eps": norm.eps, "momentum": norm.momentum, "affine": norm.affine}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        return [
            Example("map", nn.Sequential(shaken(nn.BatchNorm2d(4))), (2, 4, 5, 3)),
            Example("not_affine", nn.Sequential(shaken(nn.BatchNorm2d(4, affine=False))), (2, 4, 5, 3)),
            Example("vector", nn.Sequential(shaken(nn.BatchNorm1d(6, eps=0.1))), (3, 6)),
            Example("function", _Function(affine=True), (2, 4, 5, 3)),
            Example("function_not_affine", _Function(affine=False), (2, 4, 5, 3)),
            Example("function_folded", nn.Sequential(nn.Conv2d(3, 4, 1), _Function(affine=True)), (2, 3, 5, 3)),
        ]

    @staticmethod
    def _emit_function(graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        given = {name: inputs[item.index] for name, item in operands(call).items()}
        channels = call.input_shapes[0][1]
        weight = given.get("weight") or graph.constant(np.ones(channels, dtype=np.float32))
        bias = given.get("bias") or graph.constant(np.zeros(channels, dtype=np.float32))
        statistics = [given["running_mean"], given["running_var"]]
        return graph.node("BatchNormalization", [inputs[0], weight, bias, *statistics], epsilon=eps(call))


class _Function(nn.Module):
    """Calls ``F.batch_norm`` as timm's modules do that combine a batch norm with other layers."""

    def __init__(self, *, affine: bool) -> None:
        super().__init__()
        self.norm = shaken(nn.BatchNorm2d(4, eps=0.1, affine=affine))

    def forward(self, inputs: Tensor) -> Tensor:
        norm = self.norm
        return F.batch_norm(inputs, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps).relu()


def operands(call: Call) -> dict[str, Input]:
    """The tensors that ``F.batch_norm`` is given besides its input: name → value."""
    names = ("running_mean", "running_var", "weight", "bias")
    given = {name: call.argument(position, name) for position, name in enumerate(names, 1)}
    return {name: item for name, item in given.items() if isinstance(item, Input)}


def eps(call: Call) -> float:
    """The number that ``F.batch_norm`` adds to the variance."""
    return float(call.argument(7, "eps", 1e-5))


def scale_and_shift(norm: BatchNorm) -> tuple[Tensor, Tensor]:
    """Scale and shift ``(C,)``, float32 on the CPU: in eval mode the layer computes ``input * scale + shift``."""
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    return as_scale_and_shift(mean, variance, norm.weight, norm.bias, eps=norm.eps)


def as_scale_and_shift(
    running_mean: Tensor, running_var: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, *, eps: float
) -> tuple[Tensor, Tensor]:
    """``scale_and_shift`` for the tensors of a batch norm, each ``(C,)``."""
    scale = torch.rsqrt(running_var.double() + eps)
    if weight is not None:
        scale = scale * weight.double()
    shift = -running_mean.double() * scale
    if bias is not None:
        shift = shift + bias.double()
    return scale.detach().float().cpu(), shift.detach().float().cpu()


def _norm(call: Call) -> BatchNorm:
    return cast(BatchNorm, call.module)


def shaken(norm: BatchNorm) -> BatchNorm:
    """The batch norm with statistics and weights that are not neutral, for examples."""
    generator = torch.Generator().manual_seed(0)
    tensors = [norm.running_mean, norm.running_var, *norm.parameters()]
    with torch.no_grad():
        for tensor in tensors:
            cast(Tensor, tensor).copy_(torch.rand(norm.num_features, generator=generator) + 0.5)
    return norm
