"""The pages Choices, Activity and Measurements, and the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.browser.browsing import cells, wait_until
from trials.reporting.report.page import write_report
from trials.store.database.engine import open_engine
from trials.store.models import Candidate, Study


def test_choices_show_what_matters_and_predict_and_the_address_holds_the_choice(page: Any, address: str) -> None:
    page.goto(f"{address}/choices?study=digits&choice=precision")
    for heading in ("Importance", "Effect of a choice", "Together with other choices", "What if"):
        page.get_by_role("heading", name=heading, exact=True).wait_for()
    assert cells(page, 0)[0::6] == ["fp32", "int8"]
    page.get_by_text("Predicted, not measured").wait_for()
    assert cells(page, 1)[0::7] == ["Accuracy", "Latency (ms)"]
    assert all(map(float, cells(page, 1)[3::7]))


def test_activity_shows_progress_and_says_what_is_new(page: Any, address: str, storage: str) -> None:
    page.goto(f"{address}/activity?study=live")
    page.get_by_text("7 of 30").wait_for()
    page.get_by_text("Waiting for a worker: 1 gate at local").wait_for()
    page.locator(".js-plotly-plot .bars .point").first.wait_for(state="attached")
    engine = open_engine(storage)
    with Session(engine) as session:
        named = select(Candidate).join(Study).where(Study.name == "live", Candidate.number == 7)
        running = session.execute(named).unique().scalar_one()
        running.state, running.reason = "failed", "WorkerLost: the worker ended"
        session.commit()
    engine.dispose()
    page.get_by_text("Since you looked: 1 new failure reason").wait_for()
    page.get_by_text("8 of 30").wait_for()
    wait_until(page, lambda: cells(page, 0)[:3] == ["failed", "1", "WorkerLost: the worker ended"])
    page.get_by_role("button", name="Mark as seen").click()
    page.get_by_text("Since you looked").wait_for(state="detached")
    link = page.get_by_role("link", name="Trials: failed")
    wait_until(page, lambda: link.count() == 1)  # while a page is drawn anew, Streamlit shows old elements beside it
    target = link.get_attribute("href")
    assert target == "trials?study=live&states=failed"
    page.goto(f"{address}/{target}")  # a click is lost if it falls into the moment in which Streamlit replaces the link
    wait_until(page, lambda: cells(page)[:2] == ["7", "failed"])


def test_measurements_say_what_canaries_and_repeats_found(page: Any, address: str) -> None:
    page.goto(f"{address}/measurements?study=pair&target=local")
    for heading in ("Targets", "Drift", "Measured again", "Disturbed measurements"):
        page.get_by_role("heading", name=heading, exact=True).wait_for()
    page.get_by_text("67%").wait_for()  # two of three repeats agree
    assert cells(page, 0)[:2] == ["local", "it is 12% slower than when it was calibrated"]
    assert [text for text in cells(page, 1) if text.endswith("of 1")] == ["1 of 1", "1 of 1", "0 of 1"]
    assert "others kept the measuring core busy 46% of the time" in cells(page, 2)
    link = page.evaluate("link => new URL(link, location).href", cells(page, 2)[0])
    assert link == f"{address}/trial?study=pair&trial=3"


def test_the_report_opens_offline(page: Any, storage: str, tmp_path: Path) -> None:
    engine = open_engine(storage)
    path = write_report(engine, "digits", tmp_path)
    engine.dispose()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    page.get_by_role("heading", name="Study digits").wait_for()
    wait_until(page, lambda: page.locator(".js-plotly-plot .main-svg").count() >= 5)
    assert page.locator("#front tbody tr").count() >= 4
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]


@pytest.mark.slow
def test_a_chart_is_saved_as_svg_and_lines_are_scrolled_on_a_narrow_screen(page: Any, address: str) -> None:
    page.goto(f"{address}/choices?study=digits")
    page.get_by_text("Charts are saved as").wait_for()
    page.get_by_role("radio", name="SVG").click()
    chart = page.locator(".js-plotly-plot").first
    chart.hover()
    with page.expect_download() as saved:
        chart.locator("[data-title^='Download plot']").click()
    assert saved.value.suggested_filename.endswith(".svg")
    page.set_viewport_size({"width": 390, "height": 900})
    page.get_by_text("All trials as lines").click()
    lines = page.locator(".st-key-parallel")
    lines.locator(".js-plotly-plot").wait_for()
    wait_until(page, lambda: lines.evaluate("part => part.scrollWidth - part.clientWidth") > 200)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
