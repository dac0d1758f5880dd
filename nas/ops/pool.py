"""Pooling over windows, and over the whole map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.ops import Call, Channels, Example, Integer, Op, Shape

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph

_MAX = (nn.MaxPool2d, F.max_pool2d, torch.max_pool2d)
_AVG = (nn.AvgPool2d, F.avg_pool2d)
_ADAPTIVE_MAX = (nn.AdaptiveMaxPool2d, F.adaptive_max_pool2d)
_ADAPTIVE_AVG = (nn.AdaptiveAvgPool2d, F.adaptive_avg_pool2d)


class PoolOp(Op):
    """Max- and average-pooling over windows."""

    targets = _MAX + _AVG

    def shape(self, call: Call) -> Shape | None:
        """See ``Op.shape``."""
        before = call.input_shapes[0]
        kernel, stride, padding, dilation = _window(call)
        ceil = bool(_argument(call, 5 if _is_max(call) else 4, "ceil_mode", False))
        size = []
        for axis in range(2):
            slack = stride[axis] - 1 if ceil else 0
            free = before[axis - 2] + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1
            count = (free + slack) // stride[axis] + 1
            # torch drops a window that would start in the padding after the map.
            beyond = ceil and (count - 1) * stride[axis] >= before[axis - 2] + padding[axis]
            size.append(count - 1 if beyond else count)
        fits = len(before) == 4 and min(size) > 0 and _argument(call, 6, "return_indices", False) is False
        return (*before[:2], *size) if fits else None

    def covers(self, call: Call) -> bool:
        """No pooled indices, no ``divisor_override``, and no counted padding if the last window reaches beyond it."""
        if _is_max(call):
            return _argument(call, 6, "return_indices", False) is False
        settings = self.attributes(call)
        sticks_out = bool(settings["pads"][2:] != settings["pads"][:2])
        if _argument(call, 6, "divisor_override", None) is not None:
            return False
        return not (sticks_out and bool(settings["count_include_pad"]))

    def transparent(self, call: Call) -> bool:
        """Windows of one pixel with stride one."""
        settings = self.attributes(call)
        return bool(settings["kernel"] == settings["stride"] == [1, 1] and not any(settings["pads"]))

    def channels(self, call: Call) -> Channels:
        """See ``Op.channels``."""
        return "same"

    def integer(self, call: Call) -> Integer:
        """See ``Op.integer``."""
        return "same" if _is_max(call) else "own"

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """One ``MaxPool`` or ``AveragePool``."""
        settings = self.attributes(call)
        window = {"kernel_shape": settings["kernel"], "strides": settings["stride"], "pads": settings["pads"]}
        if _is_max(call):
            return graph.node("MaxPool", inputs[:1], **window, dilations=settings["dilation"])
        return graph.node("AveragePool", inputs[:1], **window, count_include_pad=settings["count_include_pad"])

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``; ``pads`` is ``[top, left, bottom, right]``, last window included."""
        kernel, stride, padding, dilation = _window(call)
        after = []
        for axis in range(2):
            reach = (call.output_shape[axis - 2] - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1
            after.append(max(padding[axis], reach - call.input_shapes[0][axis - 2] - padding[axis]))
        settings: dict[str, Any] = {"kernel": kernel, "stride": stride, "pads": padding + after}
        if _is_max(call):
            return {"kind": "max", **settings, "dilation": dilation}
        # torch never counts the part of a window that reaches beyond the padding.
        counted = bool(_argument(call, 5, "count_include_pad", True)) and any(padding)
        return {"kind": "avg", **settings, "count_include_pad": int(counted)}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        settings: dict[str, nn.Module] = {
            "max": nn.MaxPool2d(2),
            "max_overlapping": nn.MaxPool2d(3, stride=2, padding=1),
            "max_dilated": nn.MaxPool2d(2, stride=1, dilation=2),
            "max_ceil": nn.MaxPool2d(2, ceil_mode=True),
            "avg": nn.AvgPool2d(2),
            "avg_ceil": nn.AvgPool2d(2, ceil_mode=True),
            "avg_ceil_not_counting": nn.AvgPool2d(2, padding=1, ceil_mode=True, count_include_pad=False),
            "avg_uneven": nn.AvgPool2d((2, 3), stride=(1, 2)),
            "avg_counting": nn.AvgPool2d(3, stride=2, padding=1),
            "avg_not_counting": nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
            "max_function": _Function(lambda value: F.max_pool2d(value, 3, stride=1, padding=1)),
            "avg_function": _Function(lambda value: F.avg_pool2d(value, kernel_size=2)),
        }
        return [Example(name, nn.Sequential(pool), (2, 3, 7, 9)) for name, pool in settings.items()]


class GlobalPoolOp(Op):
    """Adaptive pooling with equal windows."""

    targets = _ADAPTIVE_MAX + _ADAPTIVE_AVG

    def shape(self, call: Call) -> Shape | None:
        """See ``Op.shape``."""
        before = call.input_shapes[0]
        if len(before) != 4:
            return None
        size = _argument(call, 1, "output_size", None)
        if _argument(call, 2, "return_indices", False):
            return None
        sizes = [size, size] if isinstance(size, int) else list(size)
        return (
            *before[:2],
            *(old if new is None else new for old, new in zip(before[2:], sizes, strict=True)),
        )

    def covers(self, call: Call) -> bool:
        """Maps ``(N, C, H, W)`` that can be divided into equal windows."""
        if len(call.input_shapes[0]) != 4:
            return False
        if _argument(call, 2, "return_indices", False):
            return False
        height, width = call.input_shapes[0][2:]
        return height % call.output_shape[2] == 0 and width % call.output_shape[3] == 0

    def transparent(self, call: Call) -> bool:
        """Pooling a map to the size that it has already."""
        return call.output_shape == call.input_shapes[0]

    def channels(self, call: Call) -> Channels:
        """See ``Op.channels``."""
        return "same"

    def integer(self, call: Call) -> Integer:
        """See ``Op.integer``."""
        return "same" if self._is_max(call) else "own"

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """One ``GlobalAveragePool``, ``MaxPool`` or ``AveragePool``."""
        height, width = call.input_shapes[0][2:]
        out_height, out_width = call.output_shape[2:]
        window = [height // out_height, width // out_width]
        if self._is_max(call):
            # Not GlobalMaxPool: it has no 8-bit form.
            return graph.node("MaxPool", inputs[:1], kernel_shape=window, strides=window)
        if (out_height, out_width) == (1, 1):
            return graph.node("GlobalAveragePool", inputs[:1])
        return graph.node("AveragePool", inputs[:1], kernel_shape=window, strides=window)

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``; the size is the output's shape."""
        return {"kind": "max" if self._is_max(call) else "avg"}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        settings: dict[str, nn.Module] = {
            "avg": nn.AdaptiveAvgPool2d(1),
            "max": nn.AdaptiveMaxPool2d((1, 1)),
            "avg_grid": nn.AdaptiveAvgPool2d((2, 3)),
            "max_grid": nn.AdaptiveMaxPool2d(2),
            "avg_function": _Function(lambda value: F.adaptive_avg_pool2d(value, 1)),
            "max_function": _Function(lambda value: F.adaptive_max_pool2d(value, 1)),
        }
        return [Example(name, nn.Sequential(pool), (2, 3, 4, 6)) for name, pool in settings.items()]

    @staticmethod
    def _is_max(call: Call) -> bool:
        return _target(call) in _ADAPTIVE_MAX


class _Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        return self.function(inputs)


def _target(call: Call) -> Any:
    return type(call.module) if call.module is not None else call.node.target


def _is_max(call: Call) -> bool:
    return _target(call) in _MAX


def _argument(call: Call, position: int, name: str, default: Any) -> Any:
    return getattr(call.module, name, default) if call.module is not None else call.argument(position, name, default)


def _window(call: Call) -> tuple[list[int], list[int], list[int], list[int]]:
    """Kernel, stride, padding and dilation, each for height and width."""
    kernel = _pair(_argument(call, 1, "kernel_size", None))
    stride = _pair(_argument(call, 2, "stride", None) or kernel)
    padding = _pair(_argument(call, 3, "padding", 0))
    dilation = _pair(_argument(call, 4, "dilation", 1)) if _is_max(call) else [1, 1]
    return kernel, stride, padding, dilation


def _pair(value: Any) -> list[int]:
    pair = [value, value] if isinstance(value, int) else list(value)
    return [int(size) for size in (pair * 2 if len(pair) == 1 else pair)]
