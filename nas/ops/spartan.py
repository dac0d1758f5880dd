"""The op of the parts of ``SpartanBlock`` that other ops do not cover."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from nas.layers.spartan import ComplexScale, SpartanBlock, StrongestChannel
from nas.ops import Call, Example, Op, Shape
from nas.ops.arrays import as_array
from nas.papers import Paper

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class SpartanOp(Op):
    """``ComplexScale`` and ``StrongestChannel``, the special parts of a SpaRTAN block."""

    paper = Paper(
        37,
        "SpaRTAN (Pay et al. 2025)",
        "tests/unit/nas/ops/test_spartan.py::test_complex_weights_turn_and_scale_pairs",
    )
    targets = (ComplexScale, StrongestChannel)

    def shape(self, call: Call) -> Shape | None:
        """The shape of the last input."""
        return call.input_shapes[-1] if len(call.input_shapes[-1]) == 4 else None

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """A few elementwise nodes around a ``Gather``."""
        if isinstance(call.module, ComplexScale):
            return _emit_scale(graph, call.module, inputs[0])
        place = graph.node("ArgMax", [inputs[0]], axis=1, keepdims=1)
        return graph.node("Add", [inputs[1], graph.node("GatherElements", [inputs[1], place], axis=1)])

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``."""
        return {"kind": type(call.module).__name__}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        settings: dict[str, nn.Module] = {
            "full": SpartanBlock(16),
            "grouped": SpartanBlock(16, expansion=2, grouped=True),
            "wide": SpartanBlock(16, expansion=3, kernel=5, dilation=4, grouped=True),
        }
        return [Example(name, nn.Sequential(block), (2, 16, 6, 5)) for name, block in settings.items()]


def _emit_scale(graph: OnnxGraph, scale: ComplexScale, value: str) -> str:
    own, partner = (graph.constant(as_array(factor)) for factor in scale.factors())
    order = np.arange(2 * len(scale.weight)).reshape(-1, 2)[:, ::-1].reshape(-1)
    swapped = graph.node("Gather", [value, graph.constant(order)], axis=1)
    return graph.node("Add", [graph.node("Mul", [value, own]), graph.node("Mul", [swapped, partner])])
