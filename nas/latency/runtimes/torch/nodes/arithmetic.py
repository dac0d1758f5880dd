"""Elementwise arithmetic, comparisons and logic."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from nas.latency.runtimes.torch.nodes.translation import Attributes, Translation, binary, plain, unary

if TYPE_CHECKING:
    from nas.latency.runtimes.torch.graph import TorchGraph, Value


def _div(graph: TorchGraph, attributes: Attributes, first: Value, second: Value) -> Any:
    if not graph.dtype(first).is_floating_point:
        return graph.call(torch.div, first, second, rounding_mode="trunc")
    return graph.call(operator.truediv, plain(first), plain(second))


def _mod(graph: TorchGraph, attributes: Attributes, first: Value, second: Value) -> Any:
    return graph.call(torch.fmod if attributes.get("fmod", 0) else torch.remainder, first, second)


def _pow(graph: TorchGraph, attributes: Attributes, base: Value, exponent: Value) -> Any:
    if graph.dtype(base).is_floating_point:
        return binary(torch.pow)(graph, attributes, base, exponent)
    return graph.call(torch.Tensor.to, graph.call(torch.pow, base, exponent), graph.dtype(base))


def _folded(function: Callable[..., Any]) -> Translation:
    """The translation of a node with any number of operands, which are combined from left to right."""

    def translate(graph: TorchGraph, attributes: Attributes, first: Value, *others: Value) -> Any:
        for other in others:
            first = graph.call(function, first, other)
        return first

    return translate


def _mean(graph: TorchGraph, attributes: Attributes, *values: Value) -> Any:
    total = _folded(operator.add)(graph, attributes, *values)
    return graph.call(operator.truediv, total, len(values))


def _is_inf(graph: TorchGraph, attributes: Attributes, value: Value) -> Any:
    signs = attributes.get("detect_negative", 1), attributes.get("detect_positive", 1)
    if not any(signs):
        return torch.zeros(graph.shape(value), dtype=torch.bool)
    return graph.call({(1, 1): torch.isinf, (1, 0): torch.isneginf, (0, 1): torch.isposinf}[signs], value)


ARITHMETIC: dict[str, Translation] = {
    "Abs": unary(torch.abs),
    "Acos": unary(torch.acos),
    "Acosh": unary(torch.acosh),
    "Add": binary(operator.add),
    "And": binary(torch.logical_and),
    "Asin": unary(torch.asin),
    "Asinh": unary(torch.asinh),
    "Atan": unary(torch.atan),
    "Atanh": unary(torch.atanh),
    "BitwiseAnd": binary(torch.bitwise_and),
    "BitwiseNot": unary(torch.bitwise_not),
    "BitwiseOr": binary(torch.bitwise_or),
    "BitwiseXor": binary(torch.bitwise_xor),
    "Ceil": unary(torch.ceil),
    "Cos": unary(torch.cos),
    "Cosh": unary(torch.cosh),
    "Div": _div,
    "Equal": binary(operator.eq),
    "Erf": unary(torch.erf),
    "Exp": unary(torch.exp),
    "Floor": unary(torch.floor),
    "Greater": binary(operator.gt),
    "GreaterOrEqual": binary(operator.ge),
    "IsInf": _is_inf,
    "IsNaN": unary(torch.isnan),
    "Less": binary(operator.lt),
    "LessOrEqual": binary(operator.le),
    "Log": unary(torch.log),
    "Max": _folded(torch.maximum),
    "Mean": _mean,
    "Min": _folded(torch.minimum),
    "Mod": _mod,
    "Mul": binary(operator.mul),
    "Neg": unary(torch.neg),
    "Not": unary(torch.logical_not),
    "Or": binary(torch.logical_or),
    "Pow": _pow,
    "Reciprocal": unary(torch.reciprocal),
    "Round": unary(torch.round),
    "Sign": unary(torch.sign),
    "Sin": unary(torch.sin),
    "Sinh": unary(torch.sinh),
    "Sqrt": unary(torch.sqrt),
    "Sub": binary(operator.sub),
    "Sum": _folded(operator.add),
    "Tan": unary(torch.tan),
    "Xor": binary(torch.logical_xor),
}
