"""Repetition along dimensions of size one, for example of a class token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from nas.ops import Call, Example, Op

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class ExpandOp(Op):
    """``expand``, ``expand_as`` and ``torch.broadcast_to``."""

    targets = ("expand", "expand_as", torch.broadcast_to)

    def transparent(self, call: Call) -> bool:
        """Expanding a tensor to the shape that it has already."""
        return call.output_shape == call.input_shapes[0]

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """One ``Expand``; nothing if the shape stays the same."""
        if self.transparent(call):
            return inputs[0]
        return graph.node("Expand", [inputs[0], graph.constant(np.array(call.output_shape, dtype=np.int64))])

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``: the shapes say everything."""
        return {}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        functions: dict[str, Callable[[Tensor], Tensor]] = {
            "columns": lambda value: value.mean((2, 3), keepdim=True).expand(-1, -1, 2, 4),
            "as": lambda value: value.mean((2, 3), keepdim=True).expand_as(value) * 2.0,
            "new_dimension": lambda value: torch.broadcast_to(value[:, None], (value.size(0), 2, 3, 4, value.size(3))),
        }
        models: dict[str, nn.Module] = {name: _Function(function) for name, function in functions.items()}
        return [Example(name, model, (2, 3, 4, 5)) for name, model in {**models, "token": _Token()}.items()]


class _Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        return self.function(inputs)


class _Token(nn.Module):
    """A learned row in front of the others."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.linspace(-1.0, 1.0, 3).reshape(1, 3, 1, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.cat([self.token.expand(inputs.shape[0], -1, -1, inputs.shape[3]), inputs], dim=2)
