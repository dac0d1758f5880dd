"""The dashboard shows hostile text as text: none of it is executed, fetched or formatted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.browser.seed import seed_database
from tests.browser.seed_hostile import LURE, MARKUP, NAME, PASSWORD, seed_hostile
from tests.browser.test_dashboard import CHROMIUM, browser, cells, page, serve
from trials.store.database.engine import open_engine

__all__ = ["browser", "page"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
STUDY = f"study?study={quote(NAME)}"
TRIAL = f"trial?study={quote(NAME)}&trial="


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose database holds only hostile text."""
    folder = tmp_path_factory.mktemp("hostile")
    url = f"sqlite:///{folder / 'nas.db'}"
    engine = open_engine(url)
    seed_hostile(engine)
    engine.dispose()
    yield from serve(url, folder)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("plain")
    url = f"sqlite:///{folder / 'nas.db'}"
    engine = open_engine(url)
    seed_database(engine)
    engine.dispose()
    yield from serve(url, folder)


def said(page: Any) -> str:
    """All text of a page, with each run of whitespace as one blank."""
    return " ".join(page.locator("body").inner_text().split())


def test_studies_candidates_and_their_errors_are_shown_verbatim(page: Any, hostile: str) -> None:
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(hostile)
    page.locator(".js-plotly-plot").first.wait_for()
    assert cells(page)[0] == NAME
    assert NAME in said(page)

    page.goto(f"{hostile}/{STUDY}")
    page.get_by_role("heading", name=NAME, exact=True).wait_for()
    page.locator(".js-plotly-plot").nth(3).wait_for()
    assert MARKUP in said(page)
    assert "Accu**racy** <b>%{x}</b> $m$" in said(page)
    page.get_by_text("Plan and environment").click()
    page.get_by_text("postgresql://me:***@host").wait_for()
    assert PASSWORD not in page.content()

    for number in (0, 11):  # a complete candidate and a failed one
        page.goto(f"{hostile}/{TRIAL}{number}")
        page.get_by_role("heading", name=f"Trial {number}", exact=True).wait_for()
        page.get_by_role("heading", name="Files" if number == 0 else "Training", exact=True).wait_for()
        assert PASSWORD not in page.content()
        assert number == 0 or MARKUP in said(page)
    assert cells(page)

    page.goto(f"{hostile}/choices?study={quote(NAME)}")
    page.get_by_role("heading", name="What if", exact=True).wait_for()
    page.locator(".js-plotly-plot").nth(4).wait_for()
    assert MARKUP[:40] in said(page)

    page.goto(f"{hostile}/activity?study={quote(NAME)}")
    page.get_by_role("heading", name="Ended early", exact=True).wait_for()
    assert cells(page, 0)

    assert not [address for address in fetched if address.startswith(LURE)]
    for name in ("img[src*=lure]", "script[src*=lure]", ".katex"):
        assert page.locator(name).count() == 0


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("trial?study=digits&trial=-1", "trial='-1'"),
        ("study?study=nothing**x**", "no study 'nothing**x**'"),
        (f"study?study={quote(f'![i]({LURE}.png)')}", f"no study '![i]({LURE}.png)'"),
        pytest.param("trial?study=digits&trial=1e3", "trial='1e3'", marks=pytest.mark.slow),
        pytest.param("trial?study=digits&trial=99999999999999999999", "trial='9999", marks=pytest.mark.slow),
        pytest.param("trial?study=digits&trial=999999", "999999", marks=pytest.mark.slow),
        pytest.param("trial?study=digits&trial=x", "trial='x'", marks=pytest.mark.slow),
        pytest.param("study?study=%00", "no study", marks=pytest.mark.slow),
    ],
)
def test_a_link_to_nothing_says_so(link: str, message: str, page: Any, plain: str) -> None:
    page.goto(f"{plain}/{link}")
    page.locator("[data-testid=stAlert]").get_by_text(message).first.wait_for()
