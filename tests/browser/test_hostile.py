"""The dashboard shows hostile text as text: none of it is executed, fetched or formatted."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.browser.browsing import cells, wait_until
from tests.browser.seed_hostile import LURE, MARKUP, NAME, PASSWORD


def said(page: Any) -> str:
    """All text of a page, with each run of whitespace as one blank."""
    return " ".join(page.locator("body").inner_text().split())


def test_studies_trials_and_their_errors_are_shown_verbatim(page: Any, address: str) -> None:
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(f"{address}/?find={quote(NAME)}")
    page.locator(".js-plotly-plot").first.wait_for()
    wait_until(page, lambda: cells(page)[:1] == [NAME])
    assert NAME[:20] in said(page)  # the chart cuts long names off

    menu = page.get_by_test_id("stSidebarNav")
    box = page.locator("[data-testid=stDataFrame]").bounding_box()
    page.mouse.click(box["x"] + 30, box["y"] + 35 + 17)
    page.get_by_role("heading", name=NAME, exact=True).wait_for()
    page.locator(".js-plotly-plot").nth(3).wait_for()
    assert MARKUP in said(page)
    assert "Accu**racy** <b>%{x}</b> $m$" in said(page)
    page.get_by_text("Plan and environment").click()
    page.get_by_text("postgresql://me:***@host").wait_for()
    assert PASSWORD not in page.content()

    menu.get_by_role("link", name="Trial", exact=True).click()
    for number in (0, 11):  # a complete trial and a failed one
        if number:
            page.get_by_role("spinbutton", name="Trial").fill(str(number))
            page.keyboard.press("Enter")
        page.get_by_role("heading", name=f"Trial {number}", exact=True).wait_for()
        page.get_by_role("heading", name="Files" if number == 0 else "Training", exact=True).first.wait_for()
        assert PASSWORD not in page.content()
        assert number == 0 or MARKUP in said(page)
    assert cells(page)

    menu.get_by_role("link", name="Choices").click()
    page.get_by_role("heading", name="What if", exact=True).wait_for()
    page.locator(".js-plotly-plot").nth(4).wait_for()
    assert MARKUP[:40] in said(page)

    menu.get_by_role("link", name="Activity").click()
    page.get_by_role("heading", name="Ended early", exact=True).wait_for()
    assert cells(page, 0)

    page.goto(f"{address}/study?study={quote(f'![i]({LURE}.png)')}")
    page.locator("[data-testid=stAlert]").get_by_text(f"no study '![i]({LURE}.png)'").first.wait_for()

    assert not [link for link in fetched if link.startswith(LURE)]
    for name in ("img[src*=lure]", "script[src*=lure]", ".katex"):
        assert page.locator(name).count() == 0
