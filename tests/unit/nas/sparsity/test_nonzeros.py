"""Counts of a network in which zeros cost nothing."""

from __future__ import annotations

import torch
from torch import nn

from nas.graph.tracing import trace
from nas.sparsity.nonzeros import nonzero_bytes, nonzero_parameters


def test_zeros_of_weights_do_not_count() -> None:
    """Biases and norms count in full, shared weights once, and every kept weight at its bits."""
    shared = nn.Conv2d(4, 4, 1, bias=False)
    model = nn.Sequential(shared, nn.BatchNorm2d(4), shared, nn.Flatten(), nn.Linear(16, 3))
    with torch.no_grad():
        shared.weight[0] = 0.0
        model[4].weight[:, :8] = 0.0
        model[4].bias.zero_()
    graph = trace(model, (1, 4, 2, 2))
    assert nonzero_parameters(graph) == 12 + 8 + 24 + 3
    assert nonzero_bytes(graph, {}) == 4 * 47
    assert nonzero_bytes(graph, {"0": 8, "2": 8, "4": 4}) == 12 + 12 + 4 * 11
