"""Scaled dot-product attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from nas.ops import Call, Example, Input, Op, Shape

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class AttentionOp(Op):
    """``F.scaled_dot_product_attention`` without a mask.

    Queries, keys and values are ``(N, heads, tokens, features)``.
    """

    targets = (F.scaled_dot_product_attention,)

    def shape(self, call: Call) -> Shape | None:
        """See ``Op.shape``."""
        query, key, value = _shapes(call)
        fits = query[:-2] == key[:-2] == value[:-2] and query[-1] == key[-1] and key[-2] == value[-2]
        return (*query[:-1], value[-1]) if fits and len(query) == 4 else None

    def covers(self, call: Call) -> bool:
        """Attention without mask and dropout, with as many heads for keys as for queries."""
        masked = call.argument(3, "attn_mask") is not None or call.argument(5, "is_causal", False)
        dropped = call.argument(4, "dropout_p", 0.0) != 0.0
        query, key, value = _shapes(call)
        return not masked and not dropped and len(query) == 4 and query[:2] == key[:2] == value[:2]

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """``MatMul``, ``Softmax``, ``MatMul``; queries are scaled, which have fewer elements than their products."""
        query, key, value = (inputs[item.index] for item in _operands(call))
        scaled = graph.node("Mul", [query, graph.constant(np.float32(_scale(call)))])
        weights = graph.node("MatMul", [scaled, graph.node("Transpose", [key], perm=[0, 1, 3, 2])])
        return graph.node("MatMul", [graph.node("Softmax", [weights], axis=-1), value])

    def macs(self, call: Call) -> int:
        """The multiply-accumulates of both products."""
        query, key, value = _shapes(call)
        return math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``."""
        return {"operands": [item.index for item in _operands(call)], "scale": _scale(call)}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        functions: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
            "plain": F.scaled_dot_product_attention,
            "scaled": lambda query, key, value: F.scaled_dot_product_attention(query, key, value, scale=2.0),
            "by_name": lambda query, key, value: F.scaled_dot_product_attention(value=value, key=key, query=query),
            "cross": lambda query, key, value: F.scaled_dot_product_attention(query[:, :, :2], key, value),
        }
        return [Example(name, _Attention(function), (2, 6, 3, 4)) for name, function in functions.items()]


class _Attention(nn.Module):
    """Two heads over the pixels of a map."""

    def __init__(self, function: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.projection = nn.Conv2d(6, 18, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        query, key, value = self.projection(inputs).reshape(inputs.shape[0], 3, 2, 3, -1).transpose(3, 4).unbind(1)
        return self.function(query * 3.0, key, value)


def _operands(call: Call) -> list[Input]:
    return [call.argument(position, name) for position, name in enumerate(("query", "key", "value"))]


def _shapes(call: Call) -> list[Shape]:
    return [call.input_shapes[item.index] for item in _operands(call)]


def _scale(call: Call) -> float:
    scale = call.kwargs.get("scale")
    return float(scale) if scale is not None else 1.0 / math.sqrt(_shapes(call)[0][-1])
