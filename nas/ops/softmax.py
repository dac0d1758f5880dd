"""Softmax along one dimension."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.ops import Call, Example, Op, Shape

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class SoftmaxOp(Op):
    """``nn.Softmax``, ``torch.softmax`` and ``F.softmax``."""

    targets = (nn.Softmax, F.softmax, torch.softmax, "softmax")

    def shape(self, call: Call) -> Shape | None:
        """The shape of the input."""
        return call.input_shapes[0]

    def covers(self, call: Call) -> bool:
        """Calls that name the dimension; torch's guess of a missing one is deprecated."""
        return isinstance(_dim(call), int) and call.argument(3, "dtype") is None

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """One ``Softmax``."""
        return graph.node("Softmax", inputs[:1], axis=self.attributes(call)["axis"])

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``."""
        return {"axis": _dim(call) % len(call.output_shape)}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        functions: dict[str, Callable[[Tensor], Tensor]] = {
            "function": lambda value: F.softmax(value, dim=-1),
            "torch": lambda value: torch.softmax(value, 1),
            "method": lambda value: value.softmax(dim=2),
        }
        models: dict[str, nn.Module] = {"module": nn.Softmax(dim=1), "module_last": nn.Softmax(dim=-1)}
        models |= {name: _Function(function) for name, function in functions.items()}
        return [Example(name, nn.Sequential(model), (2, 3, 4, 5)) for name, model in models.items()]


class _Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        return self.function(inputs)


def _dim(call: Call) -> Any:
    return getattr(call.module, "dim", None) if call.module is not None else call.argument(1, "dim")
