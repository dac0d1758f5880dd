"""The page of all studies leads to one."""

from __future__ import annotations

from typing import Any

from tests.browser.browsing import cells, wait_until


def test_studies_lead_to_a_study(page: Any, address: str) -> None:
    page.goto(address)
    page.get_by_role("heading", name="Studies").wait_for()
    wait_until(page, lambda: {"digits", "digits-1", "digits-random", "live", "fresh"} <= set(cells(page)))
    page.locator(".js-plotly-plot .bars .point").first.wait_for(state="attached")
    page.get_by_role("searchbox", name="Find").fill("DIGITS")
    page.keyboard.press("Enter")
    page.get_by_text("1 to 4 of 4 studies").wait_for()
    page.wait_for_url(f"{address}/?find=DIGITS")
    wait_until(page, lambda: cells(page)[:1] == ["digits"])
    box = page.locator("[data-testid=stDataFrame]").bounding_box()
    page.mouse.click(box["x"] + 30, box["y"] + 35 + 17)
    page.get_by_role("heading", name="digits", exact=True).wait_for()
    page.wait_for_url(f"{address}/study?study=digits")
