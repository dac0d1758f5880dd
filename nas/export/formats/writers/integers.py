"""Writes the 8-bit layers of a generated ``model.py`` in the operators that converters recognize."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.ao.quantization.fx import _decomposed  # noqa: F401  it registers the operators

_OPS: Any = torch.ops.quantized_decomposed
_RANGE = (-128, 127, torch.int8)


class Rounded(nn.Module):
    """Rounds values to signed 8-bit integers and back; the unsigned ones of ``model.py``, shifted by 128."""

    def __init__(self, quantize: Any) -> None:
        super().__init__()
        self.steps = float(quantize.scale), int(quantize.zero_point) - 128

    def forward(self, x: Tensor) -> Tensor:
        """The rounded values."""
        integers = _OPS.quantize_per_tensor(x, *self.steps, *_RANGE)
        found: Tensor = _OPS.dequantize_per_tensor(integers, *self.steps, *_RANGE)
        return found


def use_operators(network: nn.Module, source: ModuleType) -> nn.Module:
    """Replace the arithmetic of the 8-bit layers of the module ``source`` by operators, in place."""
    for module in [*network.modules()] if hasattr(source, "Int8") else []:
        for name, child in module.named_children():
            if isinstance(child, source.Quantize):
                setattr(module, name, Rounded(child))
        if isinstance(module, source.Int8):
            _use_operator(module)
    return network


def _use_operator(layer: Any) -> None:
    layer.scale, layer.zero_point = layer.scale.flatten(), layer.zero_point.flatten().long()

    def weight() -> Tensor:
        found: Tensor = _OPS.dequantize_per_channel(layer.integers, layer.scale, layer.zero_point, 0, *_RANGE)
        return found

    layer.weight = weight


def one_reader_each(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """Give every reader of a rounded value a conversion of its own, as converters expect."""
    graph = program.graph
    for node in list(graph.nodes):
        if node.op == "call_function" and "dequantize_per_tensor" in str(node.target):
            for user in list(node.users)[1:]:
                with graph.inserting_before(user):
                    user.replace_input_with(node, graph.node_copy(node, lambda argument: argument))
    program.graph_module.recompile()
    return program
