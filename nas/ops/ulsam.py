"""The op of ``Ulsam``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from torch import nn

from nas.layers.ulsam import Ulsam
from nas.ops import Call, Example, Op, Shape
from nas.ops.arrays import as_array
from nas.ops.norm import scale_and_shift, shaken
from nas.papers import Paper

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class UlsamOp(Op):
    """``Ulsam``: subspace attention (Saini et al. 2020), its batch norms folded."""

    paper = Paper(14, "ULSAM (Saini et al. 2020)", "tests/unit/nas/ops/test_ulsam.py::test_it_is_the_papers_module")
    targets = (Ulsam,)

    def shape(self, call: Call) -> Shape | None:
        """The shape of the input."""
        shape = call.input_shapes[0]
        return shape if len(shape) == 4 and shape[1] == _module(call).channels else None

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """Two ``Conv``, ``MaxPool``, ``Softmax``, ``Mul``; adding 1 to the attention maps replaces the residual sum."""
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
        """Multiply-accumulates of both convolutions; each reads every element of the input once."""
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
    """Emit a 1×1 convolution, batch norm and ReLU as ``Conv`` and ``Relu``."""
    scale, shift = (tensor.numpy() for tensor in scale_and_shift(norm))
    weight = graph.constant(as_array(conv.weight) * scale.reshape(-1, 1, 1, 1))
    value = graph.node("Conv", [value, weight, graph.constant(shift)], kernel_shape=[1, 1], group=conv.groups)
    return graph.node("Relu", [value])
