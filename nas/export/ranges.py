"""Ranges of a network's values on calibration inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from nas.errors import ExportError
from nas.graph.tracing import TracedGraph
from nas.quantization import Calibration, Range

#: Inputs per batch; it affects the memory but not the ranges.
BATCH = 32
#: Number of random inputs if there are no data.
SEEDED = 8


def ranges(graph: TracedGraph, calibrations: Mapping[int, Calibration], inputs: Tensor) -> dict[int, Range]:
    """Position of a node → lowest and highest value on ``inputs`` ``(M, C, H, W)``.

    Args:
        graph: graph of a model in eval mode.
        calibrations: position to observe → a new calibration.
        inputs: calibration data.

    Raises:
        ExportError: there are no inputs, or a value is not finite.
    """
    if not len(inputs):
        raise ExportError("calibration has no inputs; give at least one batch of training data")
    observer = _Observer(graph, calibrations)
    device = device_of(graph.model)
    with torch.no_grad():
        for batch in torch.split(inputs, BATCH):
            observer.run(batch.to(device))
    found = {index: calibration.range() for index, calibration in calibrations.items()}
    for index, (low, high) in found.items():
        if not np.isfinite([low, high]).all():
            raise ExportError(
                f"{graph.nodes[index].name} ranges from {low} to {high} on the calibration data; "
                "8 bits need finite values: check the trained weights"
            )
    return found


def seeded_inputs(shape: tuple[int, ...], count: int, seed: int = 0) -> Tensor:
    """Standard normal values ``(count, *shape[1:])``, the same on every machine for a seed."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, *shape[1:], generator=generator)


def device_of(model: nn.Module) -> torch.device:
    """The device of a model's parameters."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


class _Observer(fx.Interpreter):
    def __init__(self, graph: TracedGraph, calibrations: Mapping[int, Calibration]) -> None:
        super().__init__(graph.model, graph=graph.nodes[0].call.node.graph)
        self._observed = {graph.nodes[index].call.node: item for index, item in calibrations.items()}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n in self._observed:
            self._observed[n].add(value)
        return value
