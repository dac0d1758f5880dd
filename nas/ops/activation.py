"""Activations, as modules, functions and tensor methods."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.ops import Call, Channels, Example, Integer, Op, Shape

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph

#: Kind → the modules, functions and methods that compute it.
TARGETS: dict[str, tuple[Any, ...]] = {
    "relu": (nn.ReLU, F.relu, torch.relu, torch.relu_, F.relu_, "relu", "relu_"),
    "relu6": (nn.ReLU6, F.relu6),
    "hardswish": (nn.Hardswish, F.hardswish),
    "hardsigmoid": (nn.Hardsigmoid, F.hardsigmoid),
    "silu": (nn.SiLU, F.silu),
    "gelu": (nn.GELU, F.gelu),
    "sigmoid": (nn.Sigmoid, torch.sigmoid, F.sigmoid, "sigmoid", "sigmoid_"),
    "tanh": (nn.Tanh, torch.tanh, F.tanh, "tanh", "tanh_"),
    "leaky_relu": (nn.LeakyReLU, F.leaky_relu),
    "elu": (nn.ELU, F.elu),
    "mish": (nn.Mish, F.mish),
}
KIND = {target: kind for kind, targets in TARGETS.items() for target in targets}


class ActivationOp(Op):
    """ReLU, ReLU6, Hardswish, Hardsigmoid, SiLU, GELU, Sigmoid, Tanh, LeakyReLU, ELU and Mish.

    They are covered as modules, functions and tensor methods.
    """

    targets = tuple(KIND)

    def shape(self, call: Call) -> Shape | None:
        """The shape of the input."""
        return call.input_shapes[0]

    def channels(self, call: Call) -> Channels:
        """See ``Op.channels``."""
        return "same"

    def integer(self, call: Call) -> Integer:
        """ReLU and ReLU6 are fused: quantization clips values anyway."""
        kind = _kind(call)
        if kind in ("relu", "relu6"):
            return "fused"
        return "own" if kind in ("sigmoid", "leaky_relu") else "float"

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """The node of that name, or the nodes that compute the function."""
        return _EMITTERS[_kind(call)](graph, inputs[0], self.attributes(call))

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``."""
        kind = _kind(call)
        if kind == "leaky_relu":
            return {"kind": kind, "slope": _setting(call, 1, "negative_slope", 0.01)}
        if kind == "elu":
            return {"kind": kind, "alpha": _setting(call, 1, "alpha", 1.0)}
        if kind == "gelu":
            return {"kind": kind, "approximate": _setting(call, 1, "approximate", "none")}
        return {"kind": kind}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        models: dict[str, nn.Module] = {kind: targets[0]() for kind, targets in TARGETS.items()}
        models |= {
            "leaky_relu_steep": nn.LeakyReLU(0.2),
            "elu_flat": nn.ELU(0.7),
            "gelu_tanh": nn.GELU(approximate="tanh"),
        }
        functions: dict[str, Callable[[Tensor], Tensor]] = {
            "relu": F.relu,
            "relu6": F.relu6,
            "hardswish": F.hardswish,
            "hardsigmoid": F.hardsigmoid,
            "silu": F.silu,
            "gelu": F.gelu,
            "gelu_tanh": lambda value: F.gelu(value, approximate="tanh"),
            "sigmoid": torch.sigmoid,
            "tanh": torch.tanh,
            "leaky_relu": lambda value: F.leaky_relu(value, 0.3),
            "elu": lambda value: F.elu(value, alpha=0.5),
            "mish": F.mish,
            "relu_method": lambda value: value.relu(),
            "sigmoid_method": lambda value: value.sigmoid(),
            "tanh_method": lambda value: value.tanh(),
        }
        models |= {f"function_{name}": _Function(function) for name, function in functions.items()}
        return [Example(name, nn.Sequential(model), (2, 3, 4, 5)) for name, model in models.items()]


class _Function(nn.Module):
    """A function of three times the input, because most activations are almost linear between -1 and 1."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        return self.function(inputs * 3.0)


def _kind(call: Call) -> str:
    return KIND[type(call.module) if call.module is not None else call.node.target]


def _setting(call: Call, position: int, name: str, default: Any) -> Any:
    return getattr(call.module, name) if call.module is not None else call.argument(position, name, default)


def _scalar(graph: OnnxGraph, value: float) -> str:
    return graph.constant(np.float32(value))


def _clip6(graph: OnnxGraph, value: str, attributes: dict[str, Any]) -> str:
    return graph.node("Clip", [value, _scalar(graph, 0.0), _scalar(graph, 6.0)])


def _silu(graph: OnnxGraph, value: str, attributes: dict[str, Any]) -> str:
    return graph.node("Mul", [value, graph.node("Sigmoid", [value])])


def _mish(graph: OnnxGraph, value: str, attributes: dict[str, Any]) -> str:
    return graph.node("Mul", [value, graph.node("Tanh", [graph.node("Softplus", [value])])])


def _gelu(graph: OnnxGraph, value: str, attributes: dict[str, Any]) -> str:
    if attributes["approximate"] == "tanh":
        cube = graph.node("Mul", [graph.node("Mul", [value, value]), value])
        inner = graph.node("Add", [value, graph.node("Mul", [cube, _scalar(graph, 0.044715)])])
        curve = graph.node("Tanh", [graph.node("Mul", [inner, _scalar(graph, math.sqrt(2 / math.pi))])])
    else:
        curve = graph.node("Erf", [graph.node("Div", [value, _scalar(graph, math.sqrt(2))])])
    gate = graph.node("Add", [curve, _scalar(graph, 1.0)])
    return graph.node("Mul", [graph.node("Mul", [value, gate]), _scalar(graph, 0.5)])


_EMITTERS: dict[str, Callable[[Any, str, dict[str, Any]], str]] = {
    "relu": lambda graph, value, _: graph.node("Relu", [value]),
    "relu6": _clip6,
    "hardswish": lambda graph, value, _: graph.node("HardSwish", [value]),
    "hardsigmoid": lambda graph, value, _: graph.node("HardSigmoid", [value], alpha=1 / 6, beta=0.5),
    "silu": _silu,
    "gelu": _gelu,
    "sigmoid": lambda graph, value, _: graph.node("Sigmoid", [value]),
    "tanh": lambda graph, value, _: graph.node("Tanh", [value]),
    "leaky_relu": lambda graph, value, settings: graph.node("LeakyRelu", [value], alpha=settings["slope"]),
    "mish": _mish,
    "elu": lambda graph, value, settings: graph.node("Elu", [value], alpha=settings["alpha"]),
}
