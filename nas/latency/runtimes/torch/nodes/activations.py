"""Activations, and random layers such as dropout, which do nothing in inference."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nas.latency.runtimes.torch.nodes.translation import Attributes, Translation, unary

if TYPE_CHECKING:
    from nas.latency.runtimes.torch.graph import TorchGraph, Value

#: Default attributes of ``Selu``, which are those of torch's function.
_SELU = {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875}


def _clip(
    graph: TorchGraph, attributes: Attributes, value: Value, low: Value | None = None, high: Value | None = None
) -> Any:
    bounds = [graph.numbers(bound)[0] if bound is not None else None for bound in (low, high)]
    return value if bounds == [None, None] else graph.call(torch.clamp, value, *bounds)


def _dropout(
    graph: TorchGraph, attributes: Attributes, value: Value, ratio: Value | None = None, training: Value | None = None
) -> Any:
    if any(graph.numbers(training)):
        raise ValueError("it drops values at random")
    return [value, torch.ones(graph.shape(value), dtype=torch.bool)]


def _hard_sigmoid(graph: TorchGraph, attributes: Attributes, value: Value) -> Any:
    alpha, beta = attributes.get("alpha", 0.2), attributes.get("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return graph.call(F.hardsigmoid, value)
    return graph.call(torch.clamp, graph.call(operator.add, graph.call(operator.mul, value, alpha), beta), 0.0, 1.0)


def _hardmax(graph: TorchGraph, attributes: Attributes, value: Value) -> Any:
    return graph.call(one_at_maximum, value, attributes.get("axis", -1))


def one_at_maximum(value: Tensor, axis: int) -> Tensor:
    """One at the first maximum along a dimension, zero elsewhere."""
    return torch.zeros_like(value).scatter(axis, value.argmax(axis, keepdim=True), 1.0)


def _p_relu(graph: TorchGraph, attributes: Attributes, value: Value, slope: Value) -> Any:
    sizes, channels = graph.shape(slope), graph.shape(value)[1:2]
    if sizes in ((), (1,)) or sizes == (*channels, *[1] * (len(graph.shape(value)) - 2)):
        return graph.call(F.prelu, value, graph.call(torch.reshape, slope, [-1]))
    return graph.call(torch.where, graph.call(operator.lt, value, 0), graph.call(operator.mul, value, slope), value)


def _selu(graph: TorchGraph, attributes: Attributes, value: Value) -> Any:
    settings = {**_SELU, **attributes}
    if settings == _SELU:
        return graph.call(F.selu, value)
    return graph.call(operator.mul, graph.call(F.elu, value, settings["alpha"]), settings["gamma"])


ACTIVATIONS: dict[str, Translation] = {
    "Celu": lambda graph, attributes, value: graph.call(F.celu, value, attributes.get("alpha", 1.0)),
    "Clip": _clip,
    "Dropout": _dropout,
    "Elu": lambda graph, attributes, value: graph.call(F.elu, value, attributes.get("alpha", 1.0)),
    "Gelu": lambda graph, attributes, value: graph.call(
        F.gelu, value, approximate=attributes.get("approximate", "none")
    ),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": unary(F.hardswish),
    "Hardmax": _hardmax,
    "LeakyRelu": lambda graph, attributes, value: graph.call(F.leaky_relu, value, attributes.get("alpha", 0.01)),
    "LogSoftmax": lambda graph, attributes, value: graph.call(F.log_softmax, value, attributes.get("axis", -1)),
    "Mish": unary(F.mish),
    "PRelu": _p_relu,
    "Relu": unary(F.relu),
    "Selu": _selu,
    "Sigmoid": unary(torch.sigmoid),
    "Softmax": lambda graph, attributes, value: graph.call(F.softmax, value, attributes.get("axis", -1)),
    "Softplus": unary(F.softplus),
    "Softsign": unary(F.softsign),
    "Tanh": unary(torch.tanh),
    "ThresholdedRelu": lambda graph, attributes, value: graph.call(
        F.threshold, value, attributes.get("alpha", 1.0), 0.0
    ),
}
