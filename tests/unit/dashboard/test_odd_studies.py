"""Every page shows studies at the edge of what a database can hold, without an exception."""

from __future__ import annotations

import pytest

from dashboard.pages import page_modules
from tests.unit.dashboard.odd_studies import ODD, seed_odd_studies
from tests.unit.dashboard.shown import shown
from trials.store.database.engine import open_engine

PAGES = [name for name in page_modules() if name not in ("studies", "help")]
#: What runs in every run; the others are marked as slow.
QUICK = (("study", "not finite"), ("study", "12 targets"), ("trials", "all failed"), ("choices", "60 choices"))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('odd') / 'nas.db'}"
    engine = open_engine(url)
    seed_odd_studies(engine)
    engine.dispose()
    return url


@pytest.mark.parametrize(
    ("name", "study"),
    [
        pytest.param(name, study, marks=() if (name, study) in QUICK else pytest.mark.slow)
        for name in PAGES
        for study in ODD
    ],
)
def test_a_page_shows_an_odd_study(url: str, name: str, study: str) -> None:
    app = shown(url, name, study=study)
    assert app.title


def test_the_address_holds_the_scales_of_the_axes(url: str) -> None:
    app = shown(url, "study", study="60 choices", **{"x-scale": "logarithmic"})
    assert app.selectbox(key="x-scale").value == "logarithmic"
    assert app.selectbox(key="y-scale").value == "automatic"
