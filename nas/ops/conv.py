"""Two-dimensional convolution: dense, grouped, depthwise, dilated, strided; zero padding."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from timm.layers import Conv2dSame
from torch import Tensor, nn

from nas.ops import Call, Channels, Example, Integer, Op, Shape, Weights
from nas.ops.linear import narrow_weight_

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class Conv2dOp(Op):
    """``nn.Conv2d``: dense, grouped, depthwise, dilated and strided; timm's ``Conv2dSame``.

    ``Conv2dSame`` pads as TensorFlow does.
    """

    targets = (nn.Conv2d, Conv2dSame)

    def shape(self, call: Call) -> Shape | None:
        """See ``Op.shape``."""
        conv, shape = _conv(call), call.input_shapes[0]
        if len(shape) != 4 or shape[1] != conv.in_channels:
            return None
        pads = padding(call)
        size = [
            (shape[axis + 2] + pads[axis] + pads[axis + 2] - conv.dilation[axis] * (conv.kernel_size[axis] - 1) - 1)
            // conv.stride[axis]
            + 1
            for axis in range(2)
        ]
        return (shape[0], conv.out_channels, *size) if min(size) > 0 else None

    def covers(self, call: Call) -> bool:
        """Zero padding only, because ONNX's convolution has no other."""
        return _conv(call).padding_mode == "zeros"

    def integer(self, call: Call) -> Integer:
        """See ``Op.integer``."""
        return "weights"

    def weights(self, call: Call) -> Weights:
        """See ``Op.weights``."""
        return Weights(_conv(call).weight, _conv(call).bias, axis=1)

    def channels(self, call: Call) -> Channels:
        """``same`` for depthwise convolutions; ``fixed`` for other groups."""
        conv = _conv(call)
        if conv.groups == 1:
            return "mixed"
        return "same" if conv.groups == conv.in_channels == conv.out_channels else "fixed"

    def narrow_(self, module: nn.Module, outputs: Tensor | None, inputs: Tensor | None) -> None:
        """See ``Op.narrow_``."""
        assert isinstance(module, nn.Conv2d)
        depthwise = module.groups > 1
        narrow_weight_(module, outputs, None if depthwise else inputs)
        module.out_channels = len(module.weight)
        module.in_channels = module.out_channels if depthwise else module.weight.shape[1]
        module.groups = module.out_channels if depthwise else 1

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """One ``Conv``."""
        conv = _conv(call)
        operands = [inputs[0], graph.parameter(call, "weight")]
        if graph.has_parameter(call, "bias"):
            operands.append(graph.parameter(call, "bias"))
        return graph.node(
            "Conv",
            operands,
            kernel_shape=list(conv.kernel_size),
            strides=list(conv.stride),
            dilations=list(conv.dilation),
            group=conv.groups,
            pads=padding(call),
        )

    def macs(self, call: Call) -> int:
        """Output elements times the inputs that each one reads; reads of padding count."""
        conv = _conv(call)
        return math.prod(call.output_shape) * (conv.in_channels // conv.groups) * math.prod(conv.kernel_size)

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``."""
        conv = _conv(call)
        return {
            "in_channels": conv.in_channels,
            "kernel": list(conv.kernel_size),
            "stride": list(conv.stride),
            "padding": padding(call),
            "dilation": list(conv.dilation),
            "groups": conv.groups,
            "bias": conv.bias is not None,
        }

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        settings: dict[str, nn.Conv2d] = {
            "plain": nn.Conv2d(4, 6, 3, padding=1),
            "pointwise_without_bias": nn.Conv2d(4, 6, 1, bias=False),
            "strided": nn.Conv2d(4, 6, 3, stride=2, padding=1),
            "uneven": nn.Conv2d(4, 6, (3, 5), stride=(1, 2), padding=(0, 2)),
            "dilated": nn.Conv2d(4, 6, 3, padding=2, dilation=2),
            "grouped": nn.Conv2d(4, 6, 3, padding=1, groups=2),
            "depthwise": nn.Conv2d(4, 4, 5, padding=2, groups=4),
            "depthwise_multiplier": nn.Conv2d(4, 8, 3, groups=4),
            "same_padding": nn.Conv2d(4, 6, (5, 3), padding="same", dilation=(1, 2)),
            "valid_padding": nn.Conv2d(4, 6, 3, padding="valid"),
            "tensorflows_padding": Conv2dSame(4, 6, (3, 2), stride=2),
            "tensorflows_padding_dilated": Conv2dSame(4, 6, 3, dilation=(1, 2)),
        }
        return [Example(name, nn.Sequential(conv), (2, 4, 9, 8)) for name, conv in settings.items()]


def padding(call: Call) -> list[int]:
    """Number of padded zeros, ``[top, left, bottom, right]``."""
    conv = _conv(call)
    reach = [dilation * (kernel - 1) for dilation, kernel in zip(conv.dilation, conv.kernel_size, strict=True)]
    if isinstance(conv, Conv2dSame):
        # Enough that a window starts at every pixel that is a multiple of the stride.
        last = [
            (size - 1) // stride * stride for size, stride in zip(call.input_shapes[0][2:], conv.stride, strict=True)
        ]
        spans = zip(last, reach, call.input_shapes[0][2:], strict=True)
        totals = [max(start + span + 1 - size, 0) for start, span, size in spans]
    elif conv.padding == "same":
        totals = reach
    elif conv.padding == "valid":
        return [0, 0, 0, 0]
    else:
        return [int(size) for size in conv.padding] * 2
    return [total // 2 for total in totals] + [total - total // 2 for total in totals]


def _conv(call: Call) -> nn.Conv2d:
    return cast(nn.Conv2d, call.module)
