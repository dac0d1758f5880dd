from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nas.errors import ExportError
from nas.export.calibration import ranges, seeded_inputs
from nas.export.quantize import Scale
from nas.space.graph import trace

SHAPE = (1, 1, 2, 2)


def graph_of(model: nn.Module):  # type: ignore[no-untyped-def]
    return trace(model.eval(), SHAPE)


def test_extremes_over_all_batches() -> None:
    inputs = torch.zeros(100, 1, 2, 2)
    inputs[3, 0, 0, 0], inputs[97, 0, 1, 1] = -2.0, 5.0
    found = ranges(graph_of(nn.Sequential(nn.ReLU())), [0, 1], inputs)
    assert found == {0: (-2.0, 5.0), 1: (0.0, 5.0)}


def test_a_percentile_cuts_outliers() -> None:
    inputs = torch.rand(64, 1, 2, 2)
    inputs[0, 0, 0, 0] = 1000.0
    (low, high) = ranges(graph_of(nn.Sequential(nn.ReLU())), [0], inputs, percentile=95.0)[0]
    assert 0.0 < low < 0.2
    assert 0.8 < high < 1.0


def test_ranges_need_inputs_and_finite_values() -> None:
    graph = graph_of(nn.Sequential(nn.ReLU()))
    with pytest.raises(ExportError, match="no inputs"):
        ranges(graph, [0], torch.zeros(0, 1, 2, 2))
    with pytest.raises(ExportError, match="inf"):
        ranges(graph, [0], torch.full((1, 1, 2, 2), float("inf")))


def test_seeded_inputs_are_equal_for_a_seed() -> None:
    assert torch.equal(seeded_inputs((1, 3, 4, 4), 5), seeded_inputs((8, 3, 4, 4), 5))
    assert not torch.equal(seeded_inputs(SHAPE, 5, seed=1), seeded_inputs(SHAPE, 5, seed=2))


@pytest.mark.parametrize(("low", "high"), [(-1.0, 3.0), (0.0, 6.0), (2.0, 6.0), (-5.0, -1.0), (-1e-3, 1e5)])
def test_scales_hit_zero_and_span_the_range(low: float, high: float) -> None:
    scale = Scale.of_range(low, high)
    steps = np.array([0, 255]) - float(scale.zero_point)
    smallest, largest = steps * float(scale.scale)
    assert smallest <= 0.0 <= largest
    assert smallest == pytest.approx(min(low, 0.0), abs=float(scale.scale))
    assert largest == pytest.approx(max(high, 0.0), abs=float(scale.scale))


def test_a_value_that_is_always_zero_has_a_scale() -> None:
    assert Scale.of_range(0.0, 0.0) == Scale(np.float32(1.0), np.uint8(0))
