"""The type of a translation, and functions that make the most common ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from nas.latency.runtimes.torch.graph import TorchGraph, Value

#: The attributes of an ONNX node as Python values; tensors as torch tensors.
Attributes = dict[str, Any]
#: ``(graph, attributes, inputs…) -> value``, or a list of values if the node has several outputs. An input is a node of
#: the torch graph, or a tensor if it is known when the file is opened. A translation raises ``ValueError`` for
#: attributes that it does not support.
Translation = Callable[..., Any]


def unary(function: Callable[[Tensor], Tensor]) -> Translation:
    """The translation of a node that is one function of its only input."""
    return lambda graph, attributes, value: graph.call(function, value)


def binary(function: Callable[..., Any]) -> Translation:
    """The translation of a node that is one function of two operands."""

    def translate(graph: TorchGraph, attributes: Attributes, first: Value, second: Value) -> Any:
        if isinstance(first, Tensor) and isinstance(second, Tensor):
            return function(first, second)
        return graph.call(function, plain(first), plain(second))

    return translate


def plain(value: Value) -> Any:
    """A scalar floating-point constant as a Python number, so that runs read no tensor; other values unchanged."""
    is_number = isinstance(value, Tensor) and value.ndim == 0 and value.is_floating_point()
    return value.item() if is_number else value  # type: ignore[union-attr]
