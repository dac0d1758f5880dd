"""The page of a study's trials: filters, order, and what leads to one or several of them."""

from __future__ import annotations

import re
from typing import Any

from tests.browser.browsing import cells, wait_until

#: Columns of the table of ``digits``.
WIDTH = 10


def test_trials_are_filtered_and_ordered_and_the_address_holds_it(page: Any, address: str) -> None:
    page.goto(f"{address}/trials?study=digits")
    page.get_by_role("textbox", name="Conditions").fill("latency_ms<0.3 and accuracy>0.9")
    page.keyboard.press("Enter")
    page.get_by_role("combobox", name="Sort by").click()
    page.get_by_role("option", name="Latency (ms)").click()
    page.get_by_text("Descending").click()
    page.wait_for_url(re.compile("descending=true"))
    wait_until(page, lambda: (found := _listed(page)[0]) and found == sorted(found, reverse=True))
    latencies, accuracies = _listed(page)
    assert max(latencies) < 0.3
    assert min(accuracies) > 0.9
    page.goto(page.url)
    wait_until(page, lambda: _listed(page)[0] == latencies)
    page.get_by_role("combobox", name="Study").click()  # the filters of one study are not kept for another
    page.get_by_role("option", name="digits-1", exact=True).click()
    page.get_by_text("1 to 25 of 30 listed trials").wait_for()
    page.wait_for_url(f"{address}/trials?study=digits-1")


def test_ticked_trials_are_compared_and_opened(page: Any, address: str) -> None:
    page.goto(f"{address}/trials?study=digits&sort=Latency+(ms)&states=complete")
    cells(page)
    table = page.locator("[data-testid=stDataFrame]").last
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    for row in (0, 1):
        page.mouse.click(box["x"] + 17, box["y"] + 35 * (row + 1) + 17)
        page.get_by_role("link", name=re.compile("Open trial")).nth(row).wait_for()
    link = page.get_by_role("link", name="Open trial 24")
    assert link.evaluate("link => link.href") == f"{address}/trial?study=digits&trial=24"
    page.get_by_role("link", name="Compare 2 trials").click()
    page.wait_for_url(re.compile(r"/compare\?study=digits&trials=24%2C\d+"))
    for heading in ("Objectives", "Which is better", "Metrics", "Choices", "Layers"):
        page.get_by_role("heading", name=heading, exact=True).wait_for()
    wait_until(page, lambda: cells(page, 0)[:1] == ["trial 24"])


def _listed(page: Any) -> tuple[list[float], list[float]]:
    """Latencies and accuracies of the table; none while it is drawn anew and still shows other rows."""
    texts = cells(page)
    try:
        return [float(text) for text in texts[3::WIDTH]], [float(text) for text in texts[2::WIDTH]]
    except ValueError:
        return [], []
