"""Ten questions of a visitor, each answered from the page Studies by clicks."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

PATIENCE_MS = 90_000
#: The task that a running study answers.
WAITING = "what is it waiting for"
#: Height of a row of a table, and of its head, in pixels.
ROW = 35


class Answered(NamedTuple):
    """What a task took, and the beginning of its answer."""

    clicks: int
    seconds: float
    answer: str


class Visitor:
    """Clicks and types in a tab, and counts it; a typed value counts as one click."""

    def __init__(self, page: Any, study: str) -> None:
        self.page, self.study, self.clicks = page, study, 0

    def open_study(self) -> None:
        """Click the name of the study in the table of studies."""
        table = self.page.locator("[data-testid=stDataFrame]").first
        names = table.locator("[role=row] [role=gridcell]:first-child").all_text_contents()
        box = table.bounding_box()
        self.clicks += 1
        self.page.mouse.click(box["x"] + 30, box["y"] + ROW * (names.index(self.study) + 1.5))
        self.see(self.page.get_by_role("heading", name=self.study, exact=True))

    def click(self, target: Any) -> None:
        """Click an element."""
        self.clicks += 1
        target.first.click()

    def menu(self, name: str) -> None:
        """Click a page in the menu."""
        self.click(self.page.get_by_test_id("stSidebarNav").get_by_role("link", name=name, exact=True))
        self.see(self.page.get_by_role("heading", name=name, exact=True))

    def type(self, target: Any, text: str) -> None:
        """Type a value and press Enter."""
        self.clicks += 1
        target.fill(text)
        target.press("Enter")

    def see(self, target: Any) -> str:
        """Wait for an element and return its text."""
        target.first.wait_for(state="attached")
        return " ".join((target.first.text_content() or "").split())

    def text(self, words: str) -> Any:
        """The element with a text."""
        return self.page.get_by_test_id("stMain").get_by_text(re.compile(words))

    def table(self, place: int) -> str:
        """Wait for a table and return its first row."""
        grid = self.page.locator("[data-testid=stDataFrame]").nth(place)
        grid.locator("[role=gridcell]").first.wait_for(state="attached")
        return " | ".join(grid.locator("[role=row]").nth(1).locator("[role=gridcell]").all_text_contents())


def _best(visitor: Visitor) -> str:
    visitor.open_study()
    visitor.type(visitor.page.get_by_role("spinbutton", name=re.compile("at most|at least")), "5")
    return visitor.see(visitor.text(r"^Best .* 5\b"))


def _first_trial(page: Any) -> Any:
    return page.get_by_role("link", name=re.compile(r"^Trial \d+$")).first


def _fast(visitor: Visitor) -> str:
    visitor.open_study()
    visitor.click(_first_trial(visitor.page))
    visitor.see(visitor.page.get_by_role("figure", name="The network as a graph"))
    return visitor.see(visitor.text("Sum of layers|measures the time of each layer"))


def _two(visitor: Visitor) -> str:
    visitor.open_study()
    visitor.click(visitor.page.get_by_role("link", name="Compare these"))
    visitor.see(visitor.page.get_by_role("heading", name="Which is better"))
    return visitor.table(0)


def _believe(visitor: Visitor) -> str:
    visitor.open_study()
    visitor.menu("Measurements")
    return visitor.table(0)


def _failed(visitor: Visitor) -> str:
    visitor.open_study()
    visitor.menu("Activity")
    return visitor.see(visitor.page.get_by_test_id("stMetric").filter(has_text="Failed"))


def _matters(visitor: Visitor) -> str:
    visitor.open_study()
    visitor.menu("Choices")
    return visitor.see(visitor.page.locator(".js-plotly-plot .ytick").last)


def _done(visitor: Visitor) -> str:
    return visitor.table(0)


def _waiting(visitor: Visitor) -> str:
    visitor.open_study()
    visitor.menu("Activity")
    return visitor.see(visitor.text("^(Now:|Waiting for|Running:|No job)"))


def _target(visitor: Visitor) -> str:
    visitor.open_study()
    visitor.see(visitor.page.get_by_role("heading", name="Front of each target"))
    return visitor.table(0)


def _away(visitor: Visitor) -> str:
    visitor.open_study()
    visitor.click(visitor.page.get_by_role("link", name="Export networks"))
    return visitor.see(visitor.text("^nas export"))


TASKS: Mapping[str, Callable[[Visitor], str]] = {
    "best under 5 ms": _best,
    "why is it fast": _fast,
    "compare two": _two,
    "can I believe it": _believe,
    "what failed": _failed,
    "what matters": _matters,
    "is it done": _done,
    WAITING: _waiting,
    "which target differs": _target,
    "take it away": _away,
}


def first_trial(context: Any, address: str, study: str) -> str:
    """The number of the first trial that the page of a study recommends."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    try:
        page.goto(f"{address}/study?study={quote(study)}")
        return str(_first_trial(page).text_content()).rpartition(" ")[2]
    finally:
        page.close()


def answered(context: Any, address: str, task: str, study: str) -> Answered:
    """Open the page Studies and do a task; the time begins with the open page."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    try:
        page.goto(address)
        visitor = Visitor(page, study)
        visitor.table(0)
        begun = time.monotonic()
        answer = TASKS[task](visitor)
        return Answered(visitor.clicks, time.monotonic() - begun, answer)
    finally:
        page.close()
