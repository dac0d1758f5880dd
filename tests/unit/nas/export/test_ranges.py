from __future__ import annotations

import pytest
import torch
from torch import nn

from nas.errors import ExportError
from nas.export.ranges import ranges, seeded_inputs
from nas.graph.identity import trace
from nas.quantization.min_max import MinMax

SHAPE = (1, 1, 2, 2)


def graph_of(model: nn.Module):  # type: ignore[no-untyped-def]
    return trace(model.eval(), SHAPE)


def test_extremes_over_all_batches() -> None:
    inputs = torch.zeros(100, 1, 2, 2)
    inputs[3, 0, 0, 0], inputs[97, 0, 1, 1] = -2.0, 5.0
    found = ranges(graph_of(nn.Sequential(nn.ReLU())), {0: MinMax(), 1: MinMax()}, inputs)
    assert found == {0: (-2.0, 5.0), 1: (0.0, 5.0)}


def test_ranges_need_inputs_and_finite_values() -> None:
    graph = graph_of(nn.Sequential(nn.ReLU()))
    with pytest.raises(ExportError, match="no inputs"):
        ranges(graph, {0: MinMax()}, torch.zeros(0, 1, 2, 2))
    with pytest.raises(ExportError, match="inf"):
        ranges(graph, {0: MinMax()}, torch.full((1, 1, 2, 2), float("inf")))


def test_seeded_inputs_are_equal_for_a_seed() -> None:
    assert torch.equal(seeded_inputs((1, 3, 4, 4), 5), seeded_inputs((8, 3, 4, 4), 5))
    assert not torch.equal(seeded_inputs(SHAPE, 5, seed=1), seeded_inputs(SHAPE, 5, seed=2))
