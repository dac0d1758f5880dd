"""Activation functions."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from nas.ops import Call, Example, Op

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph

Emitter = Callable[["OnnxGraph", str, Call], str]


def _relu6(graph: OnnxGraph, x: str, call: Call) -> str:
    return graph.node("Clip", [x, graph.scalar(0.0), graph.scalar(6.0)])


def _silu(graph: OnnxGraph, x: str, call: Call) -> str:
    return graph.node("Mul", [x, graph.node("Sigmoid", [x])])


def _gelu(graph: OnnxGraph, x: str, call: Call) -> str:
    if _approximate(call) == "tanh":
        cube = graph.node("Mul", [x, graph.node("Mul", [x, x])])
        inner = graph.node("Add", [x, graph.node("Mul", [cube, graph.scalar(0.044715)])])
        gate = graph.node("Tanh", [graph.node("Mul", [inner, graph.scalar((2 / torch.pi) ** 0.5)])])
    else:
        gate = graph.node("Erf", [graph.node("Mul", [x, graph.scalar(2**-0.5)])])
    half = graph.node("Mul", [x, graph.scalar(0.5)])
    return graph.node("Mul", [half, graph.node("Add", [gate, graph.scalar(1.0)])])


def _leaky_relu(graph: OnnxGraph, x: str, call: Call) -> str:
    return graph.node("LeakyRelu", [x], alpha=float(getattr(call.module, "negative_slope", 0.01)))


def _hardsigmoid(graph: OnnxGraph, x: str, call: Call) -> str:
    return graph.node("HardSigmoid", [x], alpha=1 / 6, beta=0.5)


def _simple(name: str) -> Emitter:
    return lambda graph, x, call: graph.node(name, [x])


def _approximate(call: Call) -> str:
    return str(getattr(call.module, "approximate", None) or call.node.kwargs.get("approximate", "none"))


_MODULES: dict[type[nn.Module], Emitter] = {
    nn.ReLU: _simple("Relu"),
    nn.ReLU6: _relu6,
    nn.SiLU: _silu,
    nn.GELU: _gelu,
    nn.Sigmoid: _simple("Sigmoid"),
    nn.Tanh: _simple("Tanh"),
    nn.Hardswish: _simple("HardSwish"),
    nn.Hardsigmoid: _hardsigmoid,
    nn.LeakyReLU: _leaky_relu,
}
_FUNCTIONS: dict[Any, Emitter] = {
    torch.relu: _simple("Relu"),
    functional.relu: _simple("Relu"),
    "relu": _simple("Relu"),
    functional.relu6: _relu6,
    functional.silu: _silu,
    functional.gelu: _gelu,
    torch.sigmoid: _simple("Sigmoid"),
    functional.sigmoid: _simple("Sigmoid"),
    "sigmoid": _simple("Sigmoid"),
    torch.tanh: _simple("Tanh"),
    functional.hardswish: _simple("HardSwish"),
    functional.hardsigmoid: _hardsigmoid,
    operator.neg: _simple("Neg"),
}


class ActivationOp(Op):
    """ReLU and its relatives, as modules, functions and methods."""

    targets = (*_MODULES, *_FUNCTIONS)

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """The activation of the one input."""
        table: dict[Any, Emitter] = {**_MODULES, **_FUNCTIONS}
        key = call.node.target if call.module is None else type(call.module)
        return table[key](graph, inputs[0], call)

    def attributes(self, call: Call) -> dict[str, Any]:
        """Which function it is, by the name both forms share."""
        target = type(call.module) if call.module is not None else call.node.target
        name = target if isinstance(target, str) else target.__name__
        return {
            "function": name.lower(),
            "approximate": _approximate(call) if "gelu" in name.lower() else "",
            "slope": getattr(call.module, "negative_slope", None),
        }

    def examples(self) -> Sequence[Example]:
        """Every module, and GELU's approximation."""
        made = [Example(module.__name__, module(), (2, 3, 4, 5)) for module in _MODULES]
        return [*made, Example("GELU_tanh", nn.GELU("tanh"), (2, 3, 4, 5)), Example("relu", _Relu(), (2, 3))]


class _Relu(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x) + torch.sigmoid(x).relu()
