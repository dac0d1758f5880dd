"""The page of a study that gets new trials while somebody looks at it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from nas.strategies import Suggestion
from tests.browser.browsing import served, wait_until
from tests.browser.seed import seed_database
from trials.store.models import Study
from trials.store.records import ArchitectureValue, JobResult, Lease, MetricValue, Proposed
from trials.store.store import Store
from trials.store.write.jobs import commit_job, start_job
from trials.store.write.leases import acquire_lease
from trials.store.write.proposals import propose

STUDY, REFRESHES = "live", 10
#: Number of the last trial that is added.
NEWEST = 18


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'nas.db'}")
    seed_database(store.engine)
    yield store
    store.engine.dispose()


def take(store: Store) -> Lease:
    """Run the study from here."""
    with Session(store.engine) as session:
        study_id = session.scalar(select(Study.id).where(Study.name == STUDY))
    assert study_id is not None
    return store.write(acquire_lease, study_id, "elsewhere:1:1", 3600)


def add_trial(store: Store, lease: Lease, place: int) -> None:
    """Add a complete trial, better than those before."""
    network = ArchitectureValue(f"new{place}", "plain_convnet", {}, 100 + place, 1000, [])
    proposed = store.write(propose, lease, Suggestion(place, (), {}), network, ("train", ""))
    assert isinstance(proposed, Proposed)
    attempt = store.write(start_job, lease, proposed.job_id)
    accuracy, latency = 0.99 + 0.0005 * place, 0.2 - 0.005 * place
    metrics = [
        MetricValue("accuracy", "", accuracy, accuracy - 0.001, accuracy + 0.001),
        MetricValue("latency_ms", "local", latency, 0.99 * latency, 1.01 * latency),
    ]
    store.write(commit_job, proposed.job_id, attempt, JobResult({}, metrics=metrics, candidate_state="complete"))


def choose(page: Any, menu: str, option: str) -> None:
    page.get_by_role("combobox", name=menu).click()
    page.get_by_role("option", name=option, exact=True).click()


def asked(page: Any) -> dict[str, str]:
    """What the address asks for."""
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}


def pick(page: Any) -> str:
    """Click a point of the front until its trial is shown beside it; return its number."""
    mark = page.locator(".st-key-front .scatterlayer .point").last

    def clicked() -> bool:
        box = mark.bounding_box()
        if box is not None:  # else the chart is just being redrawn
            page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            page.wait_for_timeout(10_000)  # a second click would pick another point: the first one has a mark now
        return "picked" in asked(page)

    wait_until(page, clicked)
    return asked(page)["picked"]


def zoom(page: Any) -> dict[str, str]:
    """Draw a box in the chart that it then shows; return what the address says about it."""
    page.get_by_text("Zoom", exact=True).click()
    page.get_by_role("spinbutton", name="Horizontal from").wait_for()

    def switched() -> bool:
        toggle = page.locator("label", has_text="Drag a box to zoom")
        if not toggle.locator("input").is_checked():
            toggle.click()
        page.wait_for_timeout(1000)
        return bool(layout_of(page)["drag"] == "select")

    wait_until(page, switched)

    def drawn() -> bool:
        box = page.locator(".st-key-front .nsewdrag").first.bounding_box()
        if box is not None:
            x, y, width, height = box["x"], box["y"], box["width"], box["height"]
            page.mouse.move(x + 0.2 * width, y + 0.1 * height)
            page.mouse.down()
            page.mouse.move(x + 0.9 * width, y + 0.9 * height, steps=8)
            page.mouse.up()
            page.wait_for_timeout(10_000)  # a second box would be one in the part that the first one shows
        return "x-from" in asked(page)

    wait_until(page, drawn)
    return {key: asked(page)[key] for key in ("x-from", "x-to", "y-from", "y-to")}


def layout_of(page: Any) -> dict[str, Any]:
    """How the front is drawn: what dragging does, and from where to where its axes go."""
    found: dict[str, Any] = page.evaluate(
        "(({_fullLayout: {dragmode, xaxis, yaxis}}) => ({drag: dragmode, x: xaxis.range, y: yaxis.range}))"
        "(document.querySelector('.st-key-front .js-plotly-plot'))"
    )
    return found


@pytest.mark.slow
def test_what_a_visitor_chose_stays_while_trials_are_added(page: Any, store: Store, tmp_path: Path) -> None:
    lease = take(store)
    with served(store.url, tmp_path) as address:
        page.goto(f"{address}/study?study={STUDY}")
        choose(page, "Horizontal axis", "Parameters")
        choose(page, "Vertical scale", "logarithmic")
        page.get_by_role("spinbutton", name="Latency (ms) at most").fill("0.25")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("limit=0.25"))
        number = pick(page)
        wanted = {"study": STUDY, "x": "Parameters", "y-scale": "logarithmic", "limit": "0.25", "picked": number}
        wanted |= zoom(page)
        ends = [math.log10(float(wanted[key])) for key in ("x-from", "x-to")]  # the axis is logarithmic
        wait_until(page, lambda: layout_of(page)["x"] == pytest.approx(ends, abs=0.01))
        part = layout_of(page)
        complete = int(re.findall(r"Trials: (\d+) complete", page.locator("body").inner_text())[0])
        for place in range(REFRESHES):
            add_trial(store, lease, place)
            page.get_by_text(f"Trials: {complete + place + 1} complete").wait_for()
            wait_for_choices(page, wanted)
            wait_until(page, lambda: layout_of(page) == part)
        page.get_by_text("Best accuracy with latency at most 0.25").wait_for()
        page.get_by_role("link", name=f"Trial {NEWEST}").first.wait_for()
        page.reload()
        page.get_by_text(f"Trials: {complete + REFRESHES} complete").wait_for()
        wait_for_choices(page, wanted)
        page.goto("about:blank")


def wait_for_choices(page: Any, wanted: dict[str, str]) -> None:
    page.get_by_role("heading", name=f"Trial {wanted['picked']}", exact=True).wait_for()
    page.locator(".st-key-front .js-plotly-plot").get_by_text(wanted["x"], exact=True).first.wait_for()
    for name, key in (("Trial", "picked"), ("Latency (ms) at most", "limit")):
        typed = page.get_by_role("spinbutton", name=name, exact=True)
        wait_until(page, lambda typed=typed, key=key: typed.input_value() == wanted[key])
    assert asked(page) == wanted
