"""The limit on the page Study: how far one press of its buttons goes, and that Export gets it."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.sections.recommended import step_of
from tests.browser.seed import seed_database
from tests.unit.dashboard.shown import shown
from trials.store.database.engine import open_engine


@pytest.mark.parametrize(
    ("span", "step"), [(0.012, 0.0005), (50.0, 1.0), (51.0, 2.0), (1e6, 20_000.0), (0.0, 0.01), (float("nan"), 0.01)]
)
def test_a_press_goes_a_fiftieth_of_the_front(span: float, step: float) -> None:
    assert step_of(span) == pytest.approx(step)


def limit_of(app: AppTest) -> float:
    [typed] = [item for item in app.number_input if item.key == "limit"]
    return float(typed.value)


def test_a_slider_that_a_browser_has_not_drawn_yet_reports_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'nas.db'}"
    engine = open_engine(url)
    seed_database(engine)
    engine.dispose()
    app = shown(url, "study", study="digits")
    [first] = app.slider
    first.set_value(25).run()
    dragged, [old] = limit_of(app), app.slider
    assert (old.key, old.value) == (first.key, 25)
    [typed] = [item for item in app.number_input if item.key == "limit"]
    typed.set_value(2 * dragged).run()
    assert app.slider[0].value > 25
    old.set_value(25).run()  # as a browser that still shows the page before
    assert limit_of(app) == 2 * dragged
    assert app.slider[0].value > 25
    app.slider[0].set_value(50).run()
    assert dragged < limit_of(app) < 2 * dragged
