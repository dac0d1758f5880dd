"""Finds the place where a file starts to differ from its network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from nas.errors import NasError
from nas.export.checking.expected import Expected, answers
from nas.export.ranges import device_of
from nas.graph.tracing import TracedGraph
from nas.quantization.aware import is_own_hook

#: A value of the file differs from torch's if the difference is at least this many of the value's standard deviations.
ANOTHER = 1e-3


def blame_hooks(model: nn.Module, expected: Expected, batch: int) -> str:
    """A message about the user's forward hooks that change the output, because files have no hooks; else empty."""
    found = []
    for path, module in model.named_modules():
        if _own_hooks(module):
            with _without_hooks(module):
                without = answers(model, expected.inputs, batch).float().cpu().numpy()
            if not np.allclose(without, expected.outputs, atol=ANOTHER * expected.spread):
                found.append(repr(path) if path else "the whole network")
    if not found:
        return ""
    return (
        f"A forward hook on {', '.join(found)} changes what the network computes, and exporting loses it: do in "
        "forward what the hook does"
    )


def blame_operator(graph: TracedGraph, inputs: Tensor, value_of: Callable[[int], np.ndarray]) -> str:
    """A message that names the first operator whose value in the file differs from torch's, found by bisection.

    Args:
        graph: graph of the network.
        inputs: one batch of inputs.
        value_of: function from the position of a node to its value in the file.
    """
    values = _Values(graph)
    with torch.no_grad():
        values.run(inputs.to(device_of(graph.model)))
    calls = [index for index, node in enumerate(graph.nodes) if node.kind == "call" and index in values.found]
    first, last = 0, len(calls) - 1
    while first < last:
        middle = (first + last) // 2
        if _differs(value_of, calls[middle], values.found[calls[middle]]):
            last = middle
        else:
            first = middle + 1
    if not calls or not _differs(value_of, calls[first], values.found[calls[first]]):
        return ""
    node = graph.nodes[calls[first]]
    return f"The first operator that differs is {node.op_name} ({node.name})"


class _Values(fx.Interpreter):
    """Runs a network and keeps every tensor."""

    def __init__(self, graph: TracedGraph) -> None:
        super().__init__(graph.model, graph=graph.nodes[0].call.node.graph)
        self._index = {node.call.node: index for index, node in enumerate(graph.nodes)}
        self.found: dict[int, np.ndarray] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n in self._index and isinstance(value, Tensor) and value.is_floating_point():
            self.found[self._index[n]] = value.float().cpu().numpy().copy()
        return value


def _differs(value_of: Callable[[int], np.ndarray], index: int, expected: np.ndarray) -> bool:
    try:
        found = value_of(index)
    except NasError:
        return False
    return found.shape != expected.shape or not float(np.abs(found - expected).max()) <= ANOTHER * float(expected.std())


def _own_hooks(module: nn.Module) -> bool:
    hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
    return any(not is_own_hook(hook) for hook in hooks)


@contextmanager
def _without_hooks(module: nn.Module) -> Iterator[None]:
    kept = [dict(module._forward_hooks), dict(module._forward_pre_hooks)]
    module._forward_hooks.clear()
    module._forward_pre_hooks.clear()
    try:
        yield
    finally:
        module._forward_hooks.update(kept[0])
        module._forward_pre_hooks.update(kept[1])
