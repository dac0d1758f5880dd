"""Two-dimensional convolution."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, cast

from torch import nn

from nas.errors import ExportError
from nas.ops import Call, Example, Op

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class Conv2dOp(Op):
    """``nn.Conv2d`` with zero padding; any stride, dilation and groups."""

    targets = (nn.Conv2d,)

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """A Conv whose weight and input are quantized where the graph says so."""
        conv = cast("nn.Conv2d", call.module)
        if conv.padding_mode != "zeros":
            raise ExportError(f"convolution with padding mode {conv.padding_mode!r} has no emitter; use zeros")
        pads = [0, 0] if conv.padding == "valid" else _padding(conv)
        weights = graph.weights(call, inputs[0])
        return graph.node(
            "Conv",
            weights,
            strides=list(conv.stride),
            dilations=list(conv.dilation),
            group=conv.groups,
            pads=pads + pads,
            kernel_shape=list(conv.kernel_size),
        )

    def macs(self, call: Call) -> int:
        """Output size × kernel taps × inputs of a group."""
        conv = cast("nn.Conv2d", call.module)
        return prod(call.output_shape) * prod(conv.kernel_size) * conv.in_channels // conv.groups

    def attributes(self, call: Call) -> dict[str, Any]:
        """Everything a convolution is besides its weights."""
        conv = cast("nn.Conv2d", call.module)
        return {
            "kernel": list(conv.kernel_size),
            "stride": list(conv.stride),
            "padding": conv.padding if isinstance(conv.padding, str) else list(conv.padding),
            "dilation": list(conv.dilation),
            "groups": conv.groups,
            "bias": conv.bias is not None,
            "padding_mode": conv.padding_mode,
        }

    def examples(self) -> Sequence[Example]:
        """Kernels, strides, dilation, groups, depthwise, no bias, odd sizes."""
        settings: dict[str, dict[str, Any]] = {
            "3x3": {"kernel_size": 3, "padding": 1},
            "1x1": {"kernel_size": 1},
            "strided": {"kernel_size": 5, "stride": 2, "padding": 2},
            "dilated": {"kernel_size": 3, "dilation": 2, "padding": 2},
            "grouped": {"kernel_size": 3, "groups": 2},
            "depthwise": {"kernel_size": 7, "groups": 8, "padding": 3},
            "rectangular": {"kernel_size": (1, 3), "padding": (0, 1), "stride": (2, 1)},
            "without_bias": {"kernel_size": 3, "bias": False},
        }
        return [Example(name, nn.Conv2d(8, 8, **setting), (2, 8, 9, 11)) for name, setting in settings.items()]


def _padding(conv: nn.Conv2d) -> list[int]:
    if conv.padding == "same":
        taps = [dilation * (kernel - 1) for dilation, kernel in zip(conv.dilation, conv.kernel_size, strict=True)]
        if any(tap % 2 for tap in taps):
            raise ExportError("convolution with an even kernel and padding 'same' has no emitter; use an odd one")
        return [tap // 2 for tap in taps]
    return [int(pad) for pad in conv.padding]
