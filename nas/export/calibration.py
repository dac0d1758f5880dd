"""Ranges of a network's values over calibration inputs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from nas.errors import ExportError
from nas.space.tracing import TracedGraph

#: Inputs of a batch: ranges are the same for any, memory is not.
BATCH = 32
#: Seeded inputs where there is no data.
SEEDED = 8

Range = tuple[float, float]


def ranges(graph: TracedGraph, nodes: Iterable[int], inputs: Tensor, *, percentile: float = 100.0) -> dict[int, Range]:
    """Position of a node → (low, high) of its values over ``inputs`` ``(M, C, H, W)``.

    Args:
        graph: of a model in eval mode.
        nodes: positions to observe.
        inputs: calibration data.
        percentile: 100 takes the extremes; less cuts both tails, for each batch of inputs, and averages over
            batches.

    Raises:
        ExportError: no inputs, or a value that is not finite.
    """
    if not len(inputs):
        raise ExportError("calibration has no inputs; give at least one batch of training data")
    observed = {graph.nodes[index].call.node: index for index in nodes}
    observer = _Observer(graph, observed, percentile)
    device = device_of(graph.model)
    with torch.no_grad():
        for batch in torch.split(inputs, BATCH):
            observer.run(batch.to(device))
    found = {index: observer.range_of(index) for index in observed.values()}
    for index, (low, high) in found.items():
        if not np.isfinite([low, high]).all():
            raise ExportError(
                f"{graph.nodes[index].name} ranges from {low} to {high} on the calibration data; "
                "8 bits need finite values: check the trained weights"
            )
    return found


def seeded_inputs(shape: tuple[int, ...], count: int, seed: int = 0) -> Tensor:
    """``(count, *shape[1:])`` standard normal values, equal everywhere for a seed."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, *shape[1:], generator=generator)


def device_of(model: nn.Module) -> torch.device:
    """Where a model's parameters are."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


class _Observer(fx.Interpreter):
    def __init__(self, graph: TracedGraph, observed: dict[fx.Node, int], percentile: float) -> None:
        super().__init__(graph.model, graph=graph.nodes[0].call.node.graph)
        self._observed = observed
        self._percentile = percentile
        self._ranges: dict[int, list[Range]] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n in self._observed:
            self._ranges.setdefault(self._observed[n], []).append(self._range(value))
        return value

    def range_of(self, index: int) -> Range:
        lows, highs = zip(*self._ranges[index], strict=True)
        if self._percentile == 100.0:
            return min(lows), max(highs)
        return float(np.mean(lows)), float(np.mean(highs))

    def _range(self, value: Tensor) -> Range:
        if self._percentile == 100.0:
            low, high = torch.aminmax(value)
            return float(low), float(high)
        tails = [100.0 - self._percentile, self._percentile]
        low, high = np.percentile(value.cpu().numpy(), tails)
        return float(low), float(high)
