"""A page whose database goes away says so, and shows the study again once the database is back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.browser.browsing import served
from tests.browser.seed import seed_database
from tests.conftest import RestartableServer
from trials.store.database.engine import open_engine

LOST = re.compile("can't (read|open) 'postgresql")


@pytest.mark.slow
def test_a_page_outlasts_a_restart_of_its_database(page: Any, own_server: RestartableServer, tmp_path: Path) -> None:
    engine = open_engine(own_server.url)
    seed_database(engine)
    engine.dispose()
    with served(own_server.url, tmp_path) as address:
        page.goto(f"{address}/study?study=live")
        page.get_by_role("heading", name="Pareto front").wait_for()
        own_server.stop()
        page.get_by_text(LOST).first.wait_for()
        page.reload()  # a page that is opened now says so, too
        page.get_by_text("This page tries again every 5 seconds").wait_for()
        page.get_by_text(LOST).first.wait_for()
        own_server.start()
        page.get_by_role("heading", name="Pareto front").wait_for()
        page.goto("about:blank")
