"""An op of your own: the sine activation of SIREN (Sitzmann et al. 2020), with its ONNX nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from nas.ops import Call, Example, Op, Shape, register

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class Sine(nn.Module):
    """``sin(frequency · x)``, elementwise."""

    def __init__(self, frequency: float = 3.0) -> None:
        super().__init__()
        self.frequency = frequency

    def forward(self, inputs: Tensor) -> Tensor:
        """Any shape → the same shape."""
        return torch.sin(self.frequency * inputs)


class SineOp(Op):
    """Covers ``Sine``: its attributes in an identity, and its nodes in a file."""

    targets = (Sine,)

    def shape(self, call: Call) -> Shape | None:
        """The shape of the input."""
        return call.input_shapes[0]

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """``Sin(Mul(input, frequency))``."""
        frequency = graph.constant(np.float32(self.attributes(call)["frequency"]))
        return graph.node("Sin", [graph.node("Mul", [inputs[0], frequency])])

    def attributes(self, call: Call) -> dict[str, Any]:
        """``frequency``, the only difference between two sines."""
        return {"frequency": getattr(call.module, "frequency")}  # noqa: B009  (torch types it as a tensor)

    def examples(self) -> Sequence[Example]:
        """One example per frequency."""
        models = {"slow": Sine(0.5), "fast": Sine(6.0)}
        return [Example(name, nn.Sequential(model), (2, 3, 4, 5)) for name, model in models.items()]


# Code that builds a network with Sine has imported this file, so the op is always registered in time.
register("sine", SineOp)
