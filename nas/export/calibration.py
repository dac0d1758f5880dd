"""Ranges of activations, seen on training data."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from nas.quantization.ranges import Range, range_of
from nas.space.graph import TracedGraph

BATCH = 64


class _Observer(fx.Interpreter):
    """Runs a graph and widens the range of every tensor."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.low: dict[fx.Node, float] = {}
        self.high: dict[fx.Node, float] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor) and result.is_floating_point():
            low, high = torch.aminmax(result)
            self.low[n] = min(self.low.get(n, float(low)), float(low))
            self.high[n] = max(self.high.get(n, float(high)), float(high))
        return result


def observe_ranges(graph: TracedGraph, inputs: Tensor) -> dict[fx.Node, Range]:
    """Smallest range that covers every value of every activation over ``inputs`` ``(M, C, H, W)``."""
    observer = _Observer(graph.module)
    device = next((parameter.device for parameter in graph.module.parameters()), inputs.device)
    graph.module.eval()
    with torch.no_grad():
        for batch in inputs.split(BATCH):
            observer.run(batch.to(device))
    return {node: range_of(observer.low[node], observer.high[node]) for node in observer.low}
