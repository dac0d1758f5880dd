"""Pooling: over windows, and over the whole map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from nas.errors import ExportError
from nas.ops import Call, Example, Op

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph

Window = nn.MaxPool2d | nn.AvgPool2d


class PoolOp(Op):
    """``nn.MaxPool2d`` and ``nn.AvgPool2d``."""

    targets = (nn.MaxPool2d, nn.AvgPool2d)

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """A MaxPool or AveragePool."""
        pool = cast("Window", call.module)
        pads = _pair(pool.padding)
        settings: dict[str, Any] = {
            "kernel_shape": _pair(pool.kernel_size),
            "strides": _pair(pool.stride),
            "pads": pads + pads,
            "ceil_mode": int(pool.ceil_mode),
        }
        if isinstance(pool, nn.MaxPool2d):
            return graph.node("MaxPool", inputs, dilations=_pair(pool.dilation), **settings)
        if pool.divisor_override is not None:
            raise ExportError("average pooling with its own divisor has no emitter")
        return graph.node("AveragePool", inputs, count_include_pad=int(pool.count_include_pad), **settings)

    def attributes(self, call: Call) -> dict[str, Any]:
        """Kind and window."""
        pool = cast("Window", call.module)
        return {
            "kind": type(pool).__name__,
            "kernel": _pair(pool.kernel_size),
            "stride": _pair(pool.stride),
            "padding": _pair(pool.padding),
            "ceil_mode": pool.ceil_mode,
            "dilation": _pair(getattr(pool, "dilation", 1)),
            "count_include_pad": getattr(pool, "count_include_pad", None),
        }

    def examples(self) -> Sequence[Example]:
        """Windows with and without overlap and padding."""
        shape = (2, 3, 9, 9)
        return [
            Example("max", nn.MaxPool2d(2), shape),
            Example("max_overlapping", nn.MaxPool2d(3, 2, 1), shape),
            Example("average", nn.AvgPool2d(3, 2, 1), shape),
            Example("average_without_pad", nn.AvgPool2d(3, 2, 1, count_include_pad=False), shape),
        ]


class GlobalPoolOp(Op):
    """Adaptive pooling to one pixel, and the mean over height and width."""

    targets = (nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d, torch.mean, "mean")

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """A global pooling, or a ReduceMean."""
        if call.module is None:
            axes, keep = _mean_arguments(call)
            return graph.node("ReduceMean", inputs, axes=axes, keepdims=int(keep))
        if call.output_shape[-2:] != (1, 1):
            raise ExportError(f"adaptive pooling to {call.output_shape[-2:]} has no emitter; use one pixel")
        maximum = isinstance(call.module, nn.AdaptiveMaxPool2d)
        return graph.node("GlobalMaxPool" if maximum else "GlobalAveragePool", inputs)

    def attributes(self, call: Call) -> dict[str, Any]:
        """Which pooling."""
        if call.module is None:
            axes, keep = _mean_arguments(call)
            return {"kind": "mean", "axes": axes, "keepdims": keep}
        return {"kind": type(call.module).__name__}

    def examples(self) -> Sequence[Example]:
        """Both kinds, and the mean."""
        shape = (2, 3, 5, 7)
        return [
            Example("max", nn.AdaptiveMaxPool2d(1), shape),
            Example("average", nn.AdaptiveAvgPool2d(1), shape),
            Example("mean", _Mean(), shape),
        ]


class _Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3)) + torch.mean(x, (2, 3))


def _pair(value: Any) -> list[int]:
    return [int(item) for item in (value if isinstance(value, tuple | list) else (value, value))]


def _mean_arguments(call: Call) -> tuple[list[int], bool]:
    arguments = dict(zip(("input", "dim", "keepdim"), call.node.args, strict=False)) | dict(call.node.kwargs)
    dim = cast("int | Sequence[int] | None", arguments.get("dim"))
    if dim is None:
        dim = range(len(call.input_shapes[0]))
    axes = [dim] if isinstance(dim, int) else list(dim)
    return axes, bool(arguments.get("keepdim", False))
