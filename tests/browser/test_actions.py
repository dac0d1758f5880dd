"""A dashboard that allows actions and asks for a password."""

from __future__ import annotations

import re
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.browser.browsing import PASSWORD, PATIENCE_MS, cells, wait_until
from trials.store.database.engine import open_engine
from trials.store.read.remarks import remarks
from trials.store.records import Remark


def test_a_visitor_writes_a_note_and_finds_the_trial_by_its_tag(page: Any, allowed: str, storage: str) -> None:
    page.goto(f"{allowed}/trial?study=digits&trial=3")
    page.get_by_role("heading", name="Files").wait_for()  # a page that is still being drawn closes what is opened
    page.get_by_role("button", name="Note and tags").click()
    page.get_by_role("textbox", name="Note", exact=True).fill("try **it** on the phone")
    page.get_by_role("textbox", name=re.compile("Tags")).fill("phone, small")
    page.get_by_role("button", name="Save").click()
    page.get_by_test_id("stText").get_by_text("try **it** on the phone").wait_for()
    assert remarks(open_engine(storage), "digits") == {3: Remark("try **it** on the phone", ("phone", "small"))}
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Trials").click()
    wait_until(page, lambda: len(cells(page)) > 0)  # a click on a page that is still being drawn is lost
    page.get_by_role("radio", name="phone").click()
    page.wait_for_url(f"{allowed}/trials?study=digits&tag=phone")
    wait_until(page, lambda: cells(page)[:1] == ["3"] and "try **it** on the phone" in cells(page))


def test_a_variant_of_a_trial_is_a_command(page: Any, allowed: str) -> None:
    page.goto(f"{allowed}/trial?study=digits&trial=3&change=precision")
    page.get_by_text("Change an answer to see the command").wait_for()
    page.get_by_role("combobox", name="precision").click()
    page.get_by_role("option", name="fp32").click()
    page.get_by_text(re.compile(r"nas enqueue .*-- digits stem.width=\d+ stage1.kernel=3 precision=fp32")).wait_for()
    page.get_by_role("button", name="Add it to the study").wait_for()
    page.wait_for_url(re.compile("to-precision=fp32"))


def test_an_export_is_queued_and_shows_what_it_says(page: Any, allowed: str) -> None:
    page.goto(f"{allowed}/export?study=digits&rule=knee&where=latency_ms<0.3")
    page.get_by_text("nas export --knee '--where=latency_ms<0.3' --out=exported").wait_for()
    wait_until(page, lambda: len(cells(page, 0)) > 3)
    page.get_by_role("button", name="Export here").click()
    page.get_by_role("heading", name="Exports").wait_for()
    page.get_by_text("failed", exact=True).wait_for()  # the files of this study do not exist
    page.get_by_text("error: ").wait_for()


def test_a_gated_dashboard_opens_with_its_password(browser: Any, allowed: str) -> None:
    with pytest.raises(HTTPError, match="401"):
        urlopen(allowed)
    context = browser.new_context(http_credentials={"username": "any", "password": PASSWORD})
    page = context.new_page()
    page.goto(f"{allowed}/study?study=digits")
    page.get_by_role("heading", name="digits", exact=True).wait_for(timeout=PATIENCE_MS)
    context.close()
