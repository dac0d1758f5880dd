"""The op of global response normalisation, ours and timm's."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import timm.layers.grn
from torch import Tensor, nn

from nas.layers.global_response_norm import GlobalResponseNorm
from nas.ops import Call, Example, Op, Shape

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph

_timms = timm.layers.grn.GlobalResponseNorm


class GlobalResponseNormOp(Op):
    """``GlobalResponseNorm``, ours and timm's, of maps with channels first or last."""

    targets = (GlobalResponseNorm, _timms)

    def shape(self, call: Call) -> Shape | None:
        """The shape of the input."""
        shape = call.input_shapes[0]
        fits = len(shape) == 4 and shape[_norm(call).channel_dim] == len(_norm(call).weight)
        return shape if fits else None

    def last_shift(self, call: Call) -> Tensor:
        """See ``Op.last_shift``."""
        return cast(Tensor, _norm(call).bias)

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """``x * (1 + weight * norm / mean(norm)) + bias``; without the sum if the next layer took over the bias."""
        norm, value = _norm(call), inputs[0]
        per_channel = [1, 1, 1, 1]
        per_channel[norm.channel_dim] = -1

        def parameter(values: Tensor) -> str:
            return graph.constant(values.detach().float().cpu().numpy().reshape(per_channel))

        def axes(*dims: int) -> str:
            return graph.constant(np.array(dims, dtype=np.int64))

        energy = graph.node("ReduceL2", [value, axes(*norm.spatial_dim)], keepdims=1)
        mean = graph.node("ReduceMean", [energy, axes(norm.channel_dim)], keepdims=1)
        share = graph.node("Div", [energy, graph.node("Add", [mean, graph.constant(np.float32(norm.eps))])])
        weighted = graph.node("Mul", [share, parameter(norm.weight)])
        scaled = graph.node("Mul", [value, graph.node("Add", [weighted, graph.constant(np.float32(1.0))])])
        return graph.node("Add", [scaled, parameter(norm.bias)]) if graph.has_parameter(call, "bias") else scaled

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``."""
        return {"eps": _norm(call).eps, "axis": _norm(call).channel_dim % 4}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        settings: dict[str, nn.Module] = {
            "map": _shaken(GlobalResponseNorm(3)),
            "large_eps": _shaken(GlobalResponseNorm(3, eps=0.5)),
            "before_a_layer": nn.Sequential(_shaken(GlobalResponseNorm(3)), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)),
            "timm": _shaken(_timms(3, channels_last=False)),
            "timm_channels_last": nn.Sequential(nn.Linear(5, 6), _shaken(_timms(6)), nn.Linear(6, 3)),
        }
        return [Example(name, nn.Sequential(layer), (2, 3, 4, 5)) for name, layer in settings.items()]


def _norm(call: Call) -> Any:
    return call.module


def _shaken(norm: Any) -> nn.Module:
    for parameter in (norm.weight, norm.bias):
        nn.init.uniform_(parameter, 0.5, 1.5)
    return cast(nn.Module, norm)
