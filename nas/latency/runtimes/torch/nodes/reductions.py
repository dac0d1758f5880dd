"""Reductions over dimensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nas.latency.runtimes.torch.nodes.translation import Attributes, Translation

if TYPE_CHECKING:
    from nas.latency.runtimes.torch.graph import TorchGraph, Value


def _reduce(function: Callable[..., Any]) -> Translation:
    def translate(graph: TorchGraph, attributes: Attributes, value: Value, axes: Value | None = None) -> Any:
        dimensions = graph.numbers(axes) or attributes.get("axes", [])
        if not dimensions and attributes.get("noop_with_empty_axes", 0):
            raise ValueError("a reduction over zero dimensions is not supported")
        dimensions = dimensions or list(range(len(graph.shape(value))))
        return graph.call(function, value, dim=dimensions, keepdim=bool(attributes.get("keepdims", 1)))

    return translate


def product(value: Tensor, dim: list[int], keepdim: bool) -> Tensor:
    """The product over dimensions, one at a time, because torch multiplies over a single dimension."""
    for axis in sorted((axis % value.ndim for axis in dim), reverse=True):
        value = value.prod(axis, keepdim=keepdim)
    return value


def total(value: Tensor, dim: list[int], keepdim: bool) -> Tensor:
    """The sum over dimensions, in the value's own type."""
    return value.sum(dim, keepdim=keepdim, dtype=value.dtype)


def absolute_total(value: Tensor, dim: list[int], keepdim: bool) -> Tensor:
    """The sum of absolute values."""
    return total(value.abs(), dim, keepdim)


def square_total(value: Tensor, dim: list[int], keepdim: bool) -> Tensor:
    """The sum of squares."""
    return total(value.square(), dim, keepdim)


def log_total(value: Tensor, dim: list[int], keepdim: bool) -> Tensor:
    """The logarithm of the sum."""
    return total(value, dim, keepdim).log()


def _extremum(function: Callable[..., Any]) -> Translation:
    def translate(graph: TorchGraph, attributes: Attributes, value: Value) -> Any:
        axis, keepdims = attributes.get("axis", 0), bool(attributes.get("keepdims", 1))
        if not attributes.get("select_last_index", 0):
            return graph.call(function, value, axis, keepdims)
        from_end = graph.call(function, graph.call(torch.flip, value, [axis]), axis, keepdims)
        return graph.call(torch.rsub, from_end, graph.shape(value)[axis] - 1)

    return translate


REDUCTIONS: dict[str, Translation] = {
    "ArgMax": _extremum(torch.argmax),
    "ArgMin": _extremum(torch.argmin),
    "ReduceL1": _reduce(absolute_total),
    "ReduceL2": _reduce(torch.linalg.vector_norm),
    "ReduceLogSum": _reduce(log_total),
    "ReduceLogSumExp": _reduce(torch.logsumexp),
    "ReduceMax": _reduce(torch.amax),
    "ReduceMean": _reduce(torch.mean),
    "ReduceMin": _reduce(torch.amin),
    "ReduceProd": _reduce(product),
    "ReduceSum": _reduce(torch.sum),
    "ReduceSumSquare": _reduce(square_total),
}
