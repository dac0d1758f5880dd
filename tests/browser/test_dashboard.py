"""The dashboard as a visitor sees it: a real server, a real browser."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from dashboard.launch import command
from dashboard.pages import page_modules
from tests.browser.seed import seed_database
from tests.browser.seed_measurements import seed_measurements
from tests.browser.seed_sparse import seed_sparse
from tests.browser.seed_targets import seed_targets
from trials.reporting.report.page import write_report
from trials.store.database.engine import open_engine
from trials.store.models import Candidate, Study

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: For a link to a page below the root, streamlit requests its own status beside that page before it does so at the
#: root.
EXPECTED_404 = re.compile(r"/_stcore/(health|host-config)$")
PATIENCE_MS = 60_000

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('browser') / 'nas.db'}"
    engine = open_engine(url)
    seed_database(engine)
    seed_sparse(engine)
    seed_targets(engine)
    seed_measurements(engine)
    engine.dispose()
    return url


@pytest.fixture(scope="module")
def address(storage: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from serve(storage, tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser whose tabs share a cache."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser.new_context(viewport={"width": 1440, "height": 2400})
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A tab. Its test fails if anything went wrong in it: script errors, failed requests, exception boxes."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda request: problems.extend(lost(request)))
    page.on("response", lambda response: problems.extend(refused(response)))
    page.on("console", lambda note: problems.extend(complaint(note)))
    yield page
    boxes = page.locator("[data-testid=stException]").all_inner_texts()
    page.close()
    assert problems == []
    assert boxes == []


def complaint(note: Any) -> list[str]:
    """The text of an error on the console; failed requests are left out, because they are judged by their address."""
    return [note.text] if note.type == "error" and "status of 404" not in note.text else []


def lost(request: Any) -> list[str]:
    """Requests that failed, without those that the browser itself aborted when it left a page."""
    return [] if request.failure == "net::ERR_ABORTED" else [f"{request.failure}: {request.url}"]


def refused(response: Any) -> list[str]:
    wrong = response.status >= 400 and not EXPECTED_404.search(response.url)
    return [f"{response.status}: {response.url}"] if wrong else []


def serve(storage: str, folder: Path, **options: Any) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command(storage, port, **options), cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(f"{address}/_stcore/health", server)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=20)


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if server.poll() is not None:
            pytest.fail(f"the dashboard ended with {server.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except HTTPError:  # it answers, and asks for a password
            return
        except (URLError, OSError):
            time.sleep(0.2)
    pytest.fail("the dashboard did not start within a minute")


def cells(page: Any, place: int = -1) -> list[str]:
    """Texts of a table, row by row. Streamlit draws tables on a canvas and keeps their texts for screen readers."""
    table = page.locator("[data-testid=stDataFrame]").nth(place)
    table.locator("[role=gridcell]").first.wait_for(state="attached")
    return list(table.locator("[role=gridcell]").all_text_contents())


def wait_until(page: Any, question: Any) -> None:
    end = time.monotonic() + PATIENCE_MS / 1000
    while not question():
        assert time.monotonic() < end, "the page never showed what was asked for"
        page.wait_for_timeout(100)


@pytest.mark.slow  # most pages have tests of their own
@pytest.mark.parametrize("name", page_modules())
def test_every_page_has_an_address_a_heading_and_a_place_in_the_menu(page: Any, address: str, name: str) -> None:
    first = next(iter(page_modules()))
    page.goto(address if name == first else f"{address}/{name}")
    page.get_by_role("heading", level=1).first.wait_for()
    title = page_modules()[name].TITLE
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True).wait_for(state="attached")


def test_studies_lead_to_a_study(page: Any, address: str) -> None:
    page.goto(address)
    page.get_by_role("heading", name="Studies").wait_for()
    wait_until(page, lambda: {"digits", "digits-1", "digits-random", "live", "fresh"} <= set(cells(page)))
    page.locator(".js-plotly-plot .bars .point").first.wait_for(state="attached")
    page.get_by_role("searchbox", name="Find").fill("DIGITS")
    page.keyboard.press("Enter")
    page.get_by_text("1 to 4 of 4 studies").wait_for()
    page.wait_for_url(f"{address}/?find=DIGITS")
    wait_until(page, lambda: cells(page)[0] == "digits")
    box = page.locator("[data-testid=stDataFrame]").bounding_box()
    page.mouse.click(box["x"] + 30, box["y"] + 35 + 17)
    page.get_by_role("heading", name="digits", exact=True).wait_for()
    page.wait_for_url(f"{address}/study?study=digits")


def test_a_study_has_its_charts_and_leads_to_its_trials(page: Any, address: str) -> None:
    page.goto(f"{address}/study?study=digits")
    for heading in ("Pareto front", "History", "Against the baseline"):
        page.get_by_role("heading", name=heading, exact=True).wait_for()
    page.locator(".js-plotly-plot").nth(3).wait_for()
    assert "limit 0.5" in page.locator(".js-plotly-plot").first.inner_text()
    page.get_by_role("link", name="All trials of this study").click()
    page.wait_for_url(f"{address}/trials?study=digits")
    assert cells(page)[:1] == ["0"]


def test_the_best_within_a_typed_limit_is_named_at_once(page: Any, address: str) -> None:
    page.goto(f"{address}/study?study=digits")
    page.get_by_role("spinbutton", name="Latency (ms) at most").fill("0.1")
    page.keyboard.press("Enter")
    page.get_by_text("Best accuracy with latency at most 0.1").wait_for()
    page.wait_for_url(re.compile("limit=0.1"))
    page.goto(page.url)
    page.get_by_text("Best accuracy with latency at most 0.1").wait_for()
    page.get_by_text("Knee of the front").wait_for()
    page.get_by_role("link", name="Compare these").click()
    page.wait_for_url(re.compile("/compare"))


def test_trials_are_filtered_and_ordered_and_the_address_holds_it(page: Any, address: str) -> None:
    page.goto(f"{address}/trials?study=digits")
    page.get_by_role("textbox", name="Conditions").fill("latency_ms<0.3 and accuracy>0.9")
    page.keyboard.press("Enter")
    page.get_by_role("combobox", name="Sort by").click()
    page.get_by_role("option", name="Latency (ms)").click()
    page.get_by_text("Descending").click()
    page.wait_for_url(re.compile("descending=true"))
    width = 10
    wait_until(page, lambda: cells(page)[3::width] == sorted(cells(page)[3::width], key=float, reverse=True))
    latencies, accuracies = cells(page)[3::width], cells(page)[2::width]
    assert max(map(float, latencies)) < 0.3
    assert min(map(float, accuracies)) > 0.9
    page.goto(page.url)
    wait_until(page, lambda: cells(page)[3::width] == latencies)
    page.goto(f"{address}/trials?study=digits&where=lateness<3")
    page.get_by_text("has no metric 'lateness'").wait_for()


def test_pages_of_trials(page: Any, address: str) -> None:
    page.goto(f"{address}/trials?study=digits&page=2")
    page.get_by_text("26 to 30 of 30 listed trials").wait_for()
    wait_until(page, lambda: cells(page)[:1] == ["25"])


def test_a_clicked_point_leads_to_its_candidate(page: Any, address: str) -> None:
    page.goto(f"{address}/study?study=digits")
    page.get_by_text("Click a point to see its trial.").wait_for()
    hollow = page.locator(".js-plotly-plot").first.locator(".scatterlayer .point").first
    hollow.wait_for()
    page.wait_for_timeout(500)  # plotly redraws once when its column gets its width
    box = hollow.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.get_by_role("link", name="Open trial").click()
    page.get_by_role("heading", name=re.compile(r"^Trial \d+$")).wait_for()
    page.get_by_text("is over the limit 0.5").first.wait_for()
    page.wait_for_url(re.compile(r"/trial\?study=digits&trial=\d+$"))


def test_ticked_trials_are_opened_and_compared(page: Any, address: str) -> None:
    page.goto(f"{address}/trials?study=digits&sort=Latency+(ms)&states=complete")
    cells(page)
    table = page.locator("[data-testid=stDataFrame]").last
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    for row in (0, 1):
        page.mouse.click(box["x"] + 17, box["y"] + 35 * (row + 1) + 17)
        page.get_by_role("link", name=re.compile("Open trial")).nth(row).wait_for()
    page.get_by_role("link", name="Compare 2 trials").click()
    page.wait_for_url(re.compile(r"/compare\?study=digits&trials=24%2C\d+"))
    for heading in ("Objectives", "Which is better", "Metrics", "Choices", "Layers"):
        page.get_by_role("heading", name=heading, exact=True).wait_for()
    assert cells(page, 0)[0] == "trial 24"
    page.goto(f"{address}/trials?study=digits")
    cells(page)
    box = page.locator("[data-testid=stDataFrame]").last.bounding_box()
    page.mouse.click(box["x"] + 17, box["y"] + 35 + 17)
    page.get_by_role("link", name="Open trial 0").click()
    page.wait_for_url(f"{address}/trial?study=digits&trial=0")


def test_compare_suggests_the_ends_of_the_front_and_refuses_what_is_no_trial(page: Any, address: str) -> None:
    page.goto(f"{address}/compare?study=digits")
    page.get_by_role("link", name="Trial 29, best accuracy").wait_for()
    page.get_by_role("link", name="Trial 24, best latency").wait_for()
    page.goto(f"{address}/compare?study=digits&trials=1,x")
    page.get_by_text("'x' is not the number of a trial").wait_for()
    page.goto(f"{address}/compare?study=digits&trials=1,99")
    page.get_by_text("its trials are 0 to 29").wait_for()


def test_a_dashboard_that_only_reads_shows_the_command_of_an_export(page: Any, address: str) -> None:
    page.goto(f"{address}/export?study=digits&rule=top&top=2&by=Parameters")
    page.get_by_text("nas export --top=2 --by=parameters --out=exported").wait_for()
    page.get_by_text("2 trials").wait_for()
    assert page.get_by_role("button", name="Export here").count() == 0
    page.goto(f"{address}/trial?study=digits&trial=3")
    page.get_by_test_id("stMain").get_by_role("link", name="Export", exact=True).click()
    page.get_by_text("nas export --trial=3 --out=exported").wait_for()
    assert page.get_by_role("button", name="Note and tags").count() == 0


def test_choices_show_what_matters_and_predict_and_the_address_holds_the_choice(page: Any, address: str) -> None:
    page.goto(f"{address}/choices?study=digits&choice=precision")
    for heading in ("Importance", "Effect of a choice", "Together with other choices", "What if"):
        page.get_by_role("heading", name=heading, exact=True).wait_for()
    assert cells(page, 0)[0::6] == ["fp32", "int8"]
    page.get_by_text("Predicted, not measured").wait_for()
    assert cells(page, 1)[0::7] == ["Accuracy", "Latency (ms)"]
    assert all(map(float, cells(page, 1)[3::7]))
    page.goto(f"{address}/choices?study=live")
    page.get_by_text("What matters is shown from 20 complete trials on").wait_for()


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
    link.click()
    page.wait_for_url(f"{address}/trials?study=live&states=failed")
    wait_until(page, lambda: cells(page)[:2] == ["7", "failed"])


def test_filters_of_one_study_are_not_kept_for_another(page: Any, address: str) -> None:
    page.goto(f"{address}/trials?study=digits&where=latency_ms<0.2")
    page.get_by_text(re.compile(r"1 to \d+ of \d+ listed trials")).wait_for()
    page.get_by_role("combobox", name="Study").click()
    page.get_by_role("option", name="digits-1", exact=True).click()
    page.get_by_text("1 to 25 of 30 listed trials").wait_for()
    page.wait_for_url(f"{address}/trials?study=digits-1")


def test_a_candidate_has_layers_curve_and_latency(page: Any, address: str) -> None:
    page.goto(f"{address}/trial?study=digits&trial=0")
    for heading in ("Network", "Layers", "Choices", "Training", "Final training", "Latency", "Jobs", "Files"):
        page.get_by_role("heading", name=heading, exact=True).wait_for()
    assert cells(page, 0)[:2] == ["stage0.conv", "conv3x3"]
    page.locator(".js-plotly-plot .bars .point").first.wait_for(state="attached")
    wait_until(page, lambda: "Candidate ÷ reference" in " ".join(page.locator(".js-plotly-plot").all_inner_texts()))
    page.get_by_role("link", name="Study digits").click()
    page.get_by_role("heading", name="digits", exact=True).wait_for()


def test_a_sparse_study_is_compared_with_dense_parents_and_random_masks(page: Any, address: str) -> None:
    page.goto(f"{address}/study?study=sparse")
    page.get_by_text("sparse during training, static masks, unstructured or semi-structured").wait_for()
    page.get_by_role("heading", name="Against dense parents and random masks").wait_for()
    page.get_by_text("Found minus random masks at equal density").wait_for()
    shown = cells(page, 0)
    assert [text.strip() for text in shown if "dense parent" in text or "random masks" in text]
    assert "sparser but not faster" in shown
    page.goto(f"{address}/study?study=bare")
    page.get_by_text("Incomplete: no declared regime, no random-mask baseline, no measured latency.").wait_for()
    page.goto(f"{address}/?find=bare")
    wait_until(page, lambda: "no declared regime; no random-mask baseline; no measured latency" in cells(page))


def test_a_sparse_candidate_stands_beside_its_dense_twin(page: Any, address: str) -> None:
    page.goto(f"{address}/trial?study=sparse&trial=9")
    page.get_by_text("Sparser but not faster").wait_for()
    page.get_by_text("over its dense twin in fp32").wait_for()
    page.get_by_role("heading", name="Sparsity and precision by site").wait_for()
    wait_until(page, lambda: cells(page, 2)[:2] == ["stage0.conv", "dense"])
    page.get_by_role("combobox", name="Measurement").click()
    page.get_by_role("option", name=re.compile("dense twin at local")).click()


def test_a_study_of_two_targets_has_a_front_each_and_says_where_the_time_goes(page: Any, address: str) -> None:
    page.goto(f"{address}/study?study=pair")
    page.get_by_role("heading", name="Front of each target").wait_for()
    assert cells(page, 0)[0] == "local"
    assert 0.5 < float(cells(page, 0)[2]) < 1  # rank correlation of the targets local and phone
    page.get_by_role("tab", name="phone").click()
    page.get_by_text("Latency at phone (ms) · lower is better").wait_for()
    page.get_by_role("heading", name="Exported networks on the test split").wait_for()
    page.get_by_role("heading", name="Predicted and measured latency").wait_for()
    assert any("0.014 [" in text for text in cells(page, 2))
    page.goto(f"{address}/trial?study=pair&trial=0")
    page.get_by_text("On the Pareto front").wait_for()
    drawing = page.get_by_role("figure", name="The network as a graph")
    drawing.locator("g.node", has_text="80 µs, 40% of the time").wait_for()
    assert drawing.locator("g.node").count() == 4
    page.get_by_role("heading", name="Where the time goes").wait_for()
    page.get_by_text("Sum of layers 0.204 ms, profiled run 0.2448 ms").wait_for()
    page.locator(".js-plotly-plot .ytick", has_text="the runtime's own").wait_for()


def test_measurements_say_what_canaries_and_repeats_found(page: Any, address: str) -> None:
    page.goto(f"{address}/measurements?study=pair&target=local")
    for heading in ("Targets", "Drift", "Measured again", "Disturbed measurements"):
        page.get_by_role("heading", name=heading, exact=True).wait_for()
    page.get_by_text("67%").wait_for()  # two of three repeats agree
    assert cells(page, 0)[:2] == ["local", "it is 12% slower than when it was calibrated"]
    assert [text for text in cells(page, 1) if text.endswith("of 1")] == ["1 of 1", "1 of 1", "0 of 1"]
    assert "others kept the measuring core busy 46% of the time" in cells(page, 2)
    link = cells(page, 2)[0]
    assert link == "trial?study=pair&trial=3"
    page.goto(f"{address}/{link}")
    page.get_by_role("heading", name="Trial 3", exact=True).wait_for()


def test_a_failed_candidate_shows_its_traceback(page: Any, address: str) -> None:
    page.goto(f"{address}/trial?study=digits&trial=11")
    page.get_by_text("Traceback (most recent call last)").wait_for()
    page.get_by_text("JobError: loss is nan in epoch 2, step 31").first.wait_for()


def test_a_queued_candidate_and_empty_studies_say_so(page: Any, address: str) -> None:
    page.goto(f"{address}/trial?study=live&trial=8")
    page.get_by_text("Queued: nothing has been measured yet.").wait_for()
    page.goto(f"{address}/study?study=fresh")
    page.get_by_text("This study has no trials yet.").wait_for()
    page.goto(f"{address}/trial?study=fresh")
    page.get_by_text("There is no trial yet.").wait_for()


def test_a_wrong_link_is_answered(page: Any, address: str) -> None:
    page.goto(f"{address}/study?study=digitz")
    page.get_by_text("did you mean 'digits'").wait_for()
    page.goto(f"{address}/trial?study=digits&trial=99")
    page.get_by_text("its trials are 0 to 29").wait_for()


def test_an_empty_database_says_how_to_begin(page: Any, tmp_path: Path) -> None:
    """The link to a page below the root is opened first: it must work on a server that has not shown any page yet."""
    for address in serve(f"sqlite:///{tmp_path / 'empty.db'}", tmp_path):
        for path in ("/study", "/trial", ""):
            page.goto(address + path)
            page.get_by_text("Launch").first.wait_for()
        page.goto("about:blank")


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
