"""A sum with a product in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from nas.ops import Call, Example, Input, Op

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class AddcmulOp(Op):
    """``torch.addcmul``: ``input + value * tensor1 * tensor2``, broadcast."""

    targets = (torch.addcmul,)

    def covers(self, call: Call) -> bool:
        """Three tensors given by position."""
        return len(call.args) == 3 and all(isinstance(item, Input) for item in call.args)

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """``Mul`` and ``Add``, with one more ``Mul`` for a factor."""
        added, first, second = (inputs[item.index] for item in call.args)
        product = graph.node("Mul", [first, second])
        factor = float(call.kwargs.get("value", 1))
        if factor != 1:
            product = graph.node("Mul", [product, graph.constant(np.float32(factor))])
        return graph.node("Add", [added, product])

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``; tensors by their index."""
        return {"operands": [item.index for item in call.args], "value": float(call.kwargs.get("value", 1))}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        return [Example(f"factor_{factor}", _Scaled(factor), (2, 3, 4, 5)) for factor in (1.0, 0.3)]


class _Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1.0, 1.0, 3).reshape(3, 1, 1))
        self.factor = factor

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.addcmul(self.weight, inputs, inputs.tanh(), value=self.factor)
