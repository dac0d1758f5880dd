"""The op of ``DilatedReparam``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from nas.layers.dilated_reparam import PUBLISHED, DilatedReparam
from nas.ops import Call, Example, Integer, Op, Shape, Weights
from nas.papers import Paper

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class DilatedReparamOp(Op):
    """``DilatedReparam``: depthwise kernels from 5×5 that ship as one convolution (UniRepLKNet).

    They are trained beside small dilated kernels.
    """

    paper = Paper(
        39,
        "UniRepLKNet (Ding et al. 2023)",
        "tests/unit/nas/ops/test_dilated_reparam.py::test_one_convolution_ships_and_computes_what_was_trained",
    )
    targets = (DilatedReparam,)

    def shape(self, call: Call) -> Shape | None:
        """The shape of the input."""
        shape = call.input_shapes[0]
        return shape if len(shape) == 4 and shape[1] == _layer(call).channels else None

    def integer(self, call: Call) -> Integer:
        """See ``Op.integer``."""
        return "weights"

    def weights(self, call: Call) -> Weights:
        """See ``Op.weights``."""
        with torch.no_grad():
            return Weights(*_layer(call).merged(), axis=1)

    def plain(self, call: Call) -> nn.Module:
        """See ``Op.plain``."""
        channels, kernel = _layer(call).channels, _layer(call).kernel
        with torch.device("meta"):
            return nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """One ``Conv``."""
        kernel = _layer(call).kernel
        return graph.node(
            "Conv",
            [inputs[0], graph.parameter(call, "weight"), graph.parameter(call, "bias")],
            kernel_shape=[kernel, kernel],
            group=_layer(call).channels,
            pads=[kernel // 2] * 4,
        )

    def macs(self, call: Call) -> int:
        """Multiply-accumulates of the shipped convolution: output × kernel elements, padding included."""
        return math.prod(call.output_shape) * _layer(call).kernel ** 2

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``."""
        return {
            "kernel": _layer(call).kernel,
            "branches": [[branch.size, branch.dilation] for branch in _layer(call).dilated],
        }

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        return [
            Example(f"kernel{kernel}", nn.Sequential(_shaken(DilatedReparam(3, kernel))), (2, 3, 9, 8))
            for kernel in (*PUBLISHED, 21, 31)
        ]


def _layer(call: Call) -> DilatedReparam:
    return cast(DilatedReparam, call.module)


def _shaken(layer: DilatedReparam) -> DilatedReparam:
    """The module with batch norms whose statistics and weights are not neutral."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for norm in (module for module in layer.modules() if isinstance(module, nn.BatchNorm2d)):
            for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
                cast(Tensor, tensor).copy_(torch.rand(layer.channels, generator=generator) + 0.5)
    return layer
