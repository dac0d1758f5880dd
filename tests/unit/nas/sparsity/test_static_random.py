"""Randomly drawn masks."""

from __future__ import annotations

import torch

from nas.sparsity.schedules.static_random import StaticRandom
from tests.unit.nas.sparsity.layers import layer, shake


def test_the_same_seed_draws_the_same_mask() -> None:
    """The mask depends on the seed and not on the weights; another seed draws another mask."""
    schedule = StaticRandom()
    torch.manual_seed(7)
    model, part = layer(schedule, 0.3)
    torch.manual_seed(8)
    _, again = layer(schedule, 0.3)
    _, other = layer(schedule, 0.3, seed=1)
    assert (part.kept() == again.kept()).all()
    assert (part.kept() != other.kept()).any()
    assert int(part.kept().sum()) == 180
    before = part.kept().clone()
    for step in range(10):
        shake(model, step)
        schedule.on_step(model, [part], step, 10)
    schedule.finish(model, [part])
    assert (part.kept() == before).all()
    # The choice does not depend on magnitude: small weights are kept as often as large ones.
    sizes = part.values().abs()
    assert abs(sizes[before].mean() - sizes[~before].mean()) < 0.2
