"""The cubic sparsity curve."""

from __future__ import annotations

import pytest

from nas.errors import PlanError
from nas.sparsity.schedules.gradual import Gradual
from tests.unit.nas.sparsity.layers import layer, shake


def test_realised_sparsity_is_the_cubic_formula() -> None:
    """Checked at every update; sparsity never falls, and nothing changes after the end."""
    schedule = Gradual(start=0.1, end=0.9, every=20)
    model, part = layer(schedule, 0.1)
    realised = []
    for step in range(500):
        shake(model, step)
        schedule.on_step(model, [part], step, 500)
        realised.append(1 - part.kept().float().mean().item())
        if step == 450:
            final = part.kept().clone()
    for step in (*range(50, 450, 20), 450):
        expected = 0.9 * (1 - (1 - (step - 50) / 400) ** 3)
        assert realised[step] == pytest.approx(expected, abs=1 / 600 + 1e-6)
    assert realised == sorted(realised)
    assert realised[:50] == [0.0] * 50
    assert (part.kept() == final).all()


def test_the_published_values() -> None:
    schedule = Gradual(start=0.0, end=1.0, every=1)
    _, part = layer(schedule, 0.1)
    found = [1 - schedule.density(part, step, 1000) for step in (100, 250, 500, 750)]
    assert found == pytest.approx([0.244, 0.520, 0.7875, 0.886], abs=1e-3)


def test_masks_are_made_anew_by_magnitude() -> None:
    schedule = Gradual(start=0.0, end=0.5, every=10)
    model, part = layer(schedule, 0.2)
    for step in range(0, 50, 10):
        shake(model, step)
        schedule.on_step(model, [part], step, 100)
        sizes = part.values().abs()
        assert sizes[part.kept()].min() >= sizes[~part.kept()].max() if step else part.kept().all()


@pytest.mark.parametrize("wrong", [{"start": 0.8}, {"end": 1.1}, {"every": 0}, {"initial": 1.0}])
def test_a_wrong_curve_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(PlanError, match="gradual"):
        Gradual(**wrong)  # type: ignore[arg-type]
