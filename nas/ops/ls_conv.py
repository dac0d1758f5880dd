"""The op of ``LocalAggregation``, the part of ``LSConv`` that other ops do not cover."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from torch import nn

from nas.layers.ls_conv import SMALL, TAPS, LocalAggregation, LSConv
from nas.ops import Call, Example, Op, Shape
from nas.papers import Paper

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class LSConvOp(Op):
    """``LocalAggregation``, the special part of an LS convolution (LSNet): every pixel has a 3×3 kernel of its own."""

    paper = Paper(
        24, "LSNet (Wang et al. 2025)", "tests/unit/nas/ops/test_ls_conv.py::test_aggregation_is_that_by_unfold"
    )
    targets = (LocalAggregation,)

    def shape(self, call: Call) -> Shape | None:
        """The shape of the map."""
        inputs, kernels = call.input_shapes
        predicted = TAPS * inputs[1] // _groups(call)
        return inputs if kernels == (inputs[0], predicted, *inputs[2:]) else None

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """``Pad``; a ``Slice`` for each kernel position, multiplied by the kernels' values there; ``Sum``."""
        _, channels, height, width = call.output_shape
        groups, shared = _groups(call), channels // _groups(call)
        border = graph.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1], dtype=np.int64))
        padded = graph.reshape(graph.node("Pad", [inputs[0], border]), (0, groups, shared, 1, height + 2, width + 2))
        kernels = graph.split(graph.reshape(inputs[1], (0, 1, shared, TAPS, height, width)), [1] * TAPS, axis=3)
        axes = graph.constant(np.array([4, 5], dtype=np.int64))
        terms = []
        for tap, kernel in enumerate(kernels):
            row, column = divmod(tap, SMALL)
            corners = ((row, column), (row + height, column + width))
            bounds = [graph.constant(np.array(corner, dtype=np.int64)) for corner in corners]
            terms.append(graph.node("Mul", [graph.node("Slice", [padded, *bounds, axes]), kernel]))
        return graph.reshape(graph.node("Sum", terms), (0, channels, height, width))

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``."""
        return {"groups": _groups(call)}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        settings = {"": (7, 8), "_large": (11, 4), "_one_group": (5, 1)}
        return [
            Example(f"ls_conv{name}", nn.Sequential(LSConv(16, kernel, groups)), (2, 16, 6, 5))
            for name, (kernel, groups) in settings.items()
        ]


def _groups(call: Call) -> int:
    return cast(LocalAggregation, call.module).groups
