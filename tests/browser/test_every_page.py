"""Every page has its address, also on a server that has not shown any page yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dashboard.pages import page_modules
from tests.browser.browsing import served


@pytest.mark.slow  # most pages have tests of their own
@pytest.mark.parametrize("name", page_modules())
def test_every_page_has_an_address_a_heading_and_a_place_in_the_menu(page: Any, address: str, name: str) -> None:
    first = next(iter(page_modules()))
    page.goto(address if name == first else f"{address}/{name}")
    page.get_by_role("heading", level=1).first.wait_for()
    title = page_modules()[name].TITLE
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True).wait_for(state="attached")


def test_an_empty_database_says_how_to_begin(page: Any, tmp_path: Path) -> None:
    """The link to a page below the root is opened first: it must work on a server that has not shown any page yet."""
    with served(f"sqlite:///{tmp_path / 'empty.db'}", tmp_path) as address:
        page.goto(f"{address}/study")
        page.get_by_text("Launch").first.wait_for()
        page.get_by_test_id("stSidebarNav").get_by_role("link", name="Studies").click()
        page.get_by_role("heading", name="Studies").wait_for()
        page.get_by_text("Launch").first.wait_for()
        page.goto("about:blank")
