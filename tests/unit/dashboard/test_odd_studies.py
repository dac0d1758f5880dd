"""Every page shows studies at the edge of what a database can hold, without an exception."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.pages import page_modules
from tests.unit.dashboard.odd_studies import ODD, seed_odd_studies
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


def script(url: str, name: str) -> None:
    """One page of the dashboard, as ``dashboard.app`` shows it."""
    import streamlit as st

    from dashboard.actions import Actions
    from dashboard.context import Context
    from dashboard.pages import page_modules
    from dashboard.views import Views
    from trials.store.database.engine import open_engine

    modules = page_modules()
    pages = {key: st.Page(lambda: None, title=module.TITLE, url_path=key) for key, module in modules.items()}
    st.navigation(list(pages.values()))
    engine = open_engine(url)
    modules[name].show(Context(Views(engine), pages, name, Actions(url, allowed=True)))
    engine.dispose()


def shown(url: str, name: str, study: str, **asked: str) -> AppTest:
    app = AppTest.from_function(script, default_timeout=120, kwargs={"url": url, "name": name})
    for key, value in {"study": study, **asked}.items():
        app.query_params[key] = value
    app.run()
    assert [item.message for item in app.exception] == []
    return app


@pytest.mark.parametrize(
    ("name", "study"),
    [
        pytest.param(name, study, marks=() if (name, study) in QUICK else pytest.mark.slow)
        for name in PAGES
        for study in ODD
    ],
)
def test_a_page_shows_an_odd_study(url: str, name: str, study: str) -> None:
    app = shown(url, name, study)
    assert app.title


def test_the_address_holds_the_scales_of_the_axes(url: str) -> None:
    app = shown(url, "study", "60 choices", **{"x-scale": "logarithmic"})
    assert app.selectbox(key="x-scale").value == "logarithmic"
    assert app.selectbox(key="y-scale").value == "automatic"
