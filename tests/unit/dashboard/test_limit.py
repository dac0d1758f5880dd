"""The limit on the page Study: how far one press of its buttons goes, and that Export gets it."""

from __future__ import annotations

import pytest

from dashboard.sections.recommended import step_of


@pytest.mark.parametrize(
    ("span", "step"), [(0.012, 0.0005), (50.0, 1.0), (51.0, 2.0), (1e6, 20_000.0), (0.0, 0.01), (float("nan"), 0.01)]
)
def test_a_press_goes_a_fiftieth_of_the_front(span: float, step: float) -> None:
    assert step_of(span) == pytest.approx(step)
