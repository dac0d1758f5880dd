"""Changes of shape that keep the values and their order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from nas.ops import Call, Channels, Example, Integer, Op, Shape

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class FlattenOp(Op):
    """``flatten``, ``unflatten``, ``view``, ``reshape``, ``squeeze``, ``unsqueeze`` and ``contiguous``.

    A call is described by the shapes before and after it.
    """

    targets = (
        *(nn.Flatten, nn.Unflatten, torch.flatten, torch.reshape, torch.squeeze, torch.unsqueeze),
        *("flatten", "unflatten", "view", "reshape", "squeeze", "unsqueeze", "contiguous"),
    )

    def shape(self, call: Call) -> Shape | None:
        """A rule for ``nn.Flatten`` only, which most candidates have; torch infers other shapes quickly."""
        shape = call.input_shapes[0]
        if not isinstance(call.module, nn.Flatten):
            return None
        start, end = (dim % len(shape) for dim in (call.module.start_dim, call.module.end_dim))
        return (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])

    def transparent(self, call: Call) -> bool:
        """Reshaping a tensor to the shape that it has already."""
        return call.output_shape == call.input_shapes[0]

    def channels(self, call: Call) -> Channels:
        """``same`` if channels stay a dimension, or if each becomes a block of a flattened vector."""
        before, after = call.input_shapes[0], call.output_shape
        return "same" if before[:2] == after[:2] or (before[0] == after[0] and len(after) == 2) else "fixed"

    def integer(self, call: Call) -> Integer:
        """See ``Op.integer``."""
        return "same"

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """``Flatten`` for a matrix, otherwise ``Reshape``; nothing if the shape stays the same."""
        before, after = call.input_shapes[0], call.output_shape
        if before == after:
            return inputs[0]
        if len(after) == 2 and before[0] == after[0]:
            return graph.node("Flatten", [inputs[0]], axis=1)
        # A leading 0 keeps the batch size of the input.
        shape = [0 if before[:1] == after[:1] else after[0], *after[1:]] if after else []
        return graph.reshape(inputs[0], shape)

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``: the shapes say everything."""
        return {}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        functions: dict[str, Callable[[Tensor], Tensor]] = {
            "function": lambda value: torch.flatten(value, 1),
            "method": lambda value: value.flatten(2),
            "view": lambda value: value.view(value.size(0), -1),
            "reshape": lambda value: value.reshape(value.shape[0], 6, -1),
            "unsqueeze": lambda value: value.unsqueeze(1).squeeze(1).unsqueeze(-1),
            "everything": lambda value: value.reshape(-1).view(value.size(0), -1),
        }
        modules: dict[str, nn.Module] = {"module": nn.Flatten(), "module_from_2": nn.Flatten(2)}
        modules |= {name: _Function(function) for name, function in functions.items()}
        return [Example(name, nn.Sequential(module), (2, 3, 4, 5)) for name, module in modules.items()]


def wanted_channels(call: Call) -> Any:
    """The number of channels (dimension 1) that a call asks for: an int, an fx node that computes it, or None.

    It is None if the input's shape decides the number, as with -1.
    """
    node = call.node
    if node.target in ("view", "reshape", torch.reshape):
        sizes: Any = node.args[1:] if len(node.args) > 1 else next(iter(node.kwargs.values()), ())
        if len(sizes) == 1 and isinstance(sizes[0], list | tuple):
            sizes = sizes[0]
        return sizes[1] if len(sizes) > 1 and sizes[1] != -1 else None
    unflattens = isinstance(call.module, nn.Unflatten) or node.target == "unflatten"
    axis = call.module.dim if isinstance(call.module, nn.Unflatten) else call.argument(1, "dim", 0)
    if unflattens and int(axis) % len(call.input_shapes[0]) <= 1:
        return call.output_shape[1]
    squeezes_all = node.target in ("squeeze", torch.squeeze) and call.argument(1, "dim") is None
    return call.output_shape[1] if squeezes_all else None


class _Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        return self.function(inputs)
