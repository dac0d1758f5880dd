"""Exchanges of weights between pruned and kept."""

from __future__ import annotations

import pytest
import torch

from nas.errors import PlanError
from nas.sparsity import PATTERNS
from nas.sparsity.policy import Sparsity
from nas.sparsity.schedules.prune_and_grow import PruneAndGrow
from tests.unit.nas.sparsity.layers import layer, shake

PATTERN_NAMES = ["unstructured", "block_4x1", "nm_2_4", "nm_1_8_by_4"]


@pytest.mark.parametrize("pattern", PATTERN_NAMES)
def test_an_exchange(pattern: str) -> None:
    """The number of non-zeros is constant. The death rate's share, the smallest, is removed; as many are added,
    starting at zero.
    """
    schedule = PruneAndGrow(every=5, death_rate=0.4)
    own = PATTERNS.get(pattern).own_density
    model, part = layer(schedule, own or 0.3, pattern=pattern)
    count = int(part.kept().sum())
    atom = {"unstructured": 1, "block_4x1": 4, "nm_2_4": 1, "nm_1_8_by_4": 4}[pattern]
    for step in range(40):
        shake(model, step)
        before, sizes = part.kept().clone(), part.values().abs()
        schedule.on_step(model, [part], step, 40)
        now = part.kept()
        assert int(now.sum()) == count
        gone, come = before & ~now, now & ~before
        exchanges = step > 0 and step % 5 == 0 and step < 30
        expected = schedule.rate(step, 40) * count if exchanges else 0
        assert int(gone.sum()) == int(come.sum()) == pytest.approx(expected, abs=len(PATTERN_NAMES) * atom)
        assert not part.values()[come].any()
        if exchanges and atom == 1:
            assert sizes[gone].max() <= sizes[before & now].min() + (2.0 if own else 0.0)


def test_the_death_rate_follows_a_cosine_to_zero() -> None:
    schedule = PruneAndGrow(death_rate=0.5, until=0.8)
    assert [schedule.rate(step, 100) for step in (0, 40, 80)] == pytest.approx([0.5, 0.25, 0.0])


def test_the_largest_gradients_grow() -> None:
    schedule = PruneAndGrow(every=5, death_rate=0.3, until=1.0, grow="gradient")
    model, part = layer(schedule, 0.3)
    for step in range(6):
        before = part.kept().clone()
        schedule.on_step(model, [part], step, 40)
        if step < 5:
            model.zero_grad()
            model(torch.randn(8, 30, generator=torch.Generator().manual_seed(step))).pow(2).sum().backward()
    come = part.kept() & ~before
    gradient = part.gradient().abs()
    assert come.any()
    assert gradient[come].min() >= gradient[~before & ~come].max()


def test_channels_are_refused() -> None:
    with pytest.raises(PlanError, match="can't use the patterns channels"):
        Sparsity(patterns=["unstructured", "channels"], schedule="prune_and_grow")


@pytest.mark.parametrize("wrong", [{"every": 0}, {"death_rate": 1.0}, {"until": 0}, {"grow": "hope"}])
def test_a_wrong_parameter_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(PlanError, match="prune_and_grow"):
        PruneAndGrow(**wrong)  # type: ignore[arg-type]
