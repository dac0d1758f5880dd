"""Products of matrices."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nas.latency.runtimes.torch.nodes.translation import Attributes, Translation, unary

if TYPE_CHECKING:
    from nas.latency.runtimes.torch.graph import TorchGraph, Value


def _gemm(graph: TorchGraph, attributes: Attributes, first: Value, second: Value, bias: Value | None = None) -> Any:
    if attributes.get("transA", 0):
        first = graph.call(torch.t, first)
    if not attributes.get("transB", 0):
        second = second.t().contiguous() if isinstance(second, Tensor) else graph.call(torch.t, second)
    if attributes.get("alpha", 1.0) != 1.0:
        second = graph.call(operator.mul, second, attributes["alpha"])
    if bias is not None and attributes.get("beta", 1.0) != 1.0:
        bias = graph.call(operator.mul, bias, attributes["beta"])
    if bias is None or graph.shape(bias) == graph.shape(second)[:1]:
        return graph.call(F.linear, first, second, bias)
    return graph.call(operator.add, graph.call(F.linear, first, second), bias)


def _matmul(graph: TorchGraph, attributes: Attributes, first: Value, second: Value) -> Any:
    if isinstance(second, Tensor) and second.ndim == 2:  # a linear layer, whose weight the file stores transposed
        return graph.call(F.linear, first, second.t().contiguous())
    return graph.call(torch.matmul, first, second)


PRODUCTS: dict[str, Translation] = {
    "Det": unary(torch.linalg.det),
    "Einsum": lambda graph, attributes, *values: graph.call(torch.einsum, attributes["equation"], *values),
    "Gemm": _gemm,
    "MatMul": _matmul,
}
