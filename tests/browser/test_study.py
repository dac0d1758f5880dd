"""The page of one study: its charts, the best network within a limit, comparisons, several targets."""

from __future__ import annotations

import re
from typing import Any

from tests.browser.browsing import cells, wait_until


def test_a_study_has_its_charts_and_leads_to_a_clicked_trial_and_to_all_trials(page: Any, address: str) -> None:
    page.goto(f"{address}/study?study=digits")
    for heading in ("Pareto front", "History", "Against the baseline"):
        page.get_by_role("heading", name=heading, exact=True).wait_for()
    page.locator(".js-plotly-plot").nth(3).wait_for()
    assert "limit 0.5" in page.locator(".js-plotly-plot").first.inner_text()
    hollow = page.locator(".js-plotly-plot").first.locator(".scatterlayer .point").first
    hollow.wait_for()
    page.wait_for_timeout(500)  # plotly redraws once when its column gets its width
    box = hollow.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_url(re.compile(r"picked=\d+$"))
    page.get_by_role("link", name="Open trial").click()
    page.get_by_role("heading", name=re.compile(r"^Trial \d+$")).wait_for()
    page.get_by_text("is over the limit 0.5").first.wait_for()
    page.wait_for_url(re.compile(r"/trial\?study=digits&trial=\d+$"))
    page.go_back()
    page.get_by_role("link", name="All trials of this study").click()
    page.wait_for_url(f"{address}/trials?study=digits")
    wait_until(page, lambda: cells(page)[:1] == ["0"])


def test_the_address_holds_the_trial_beside_the_front_until_another_study_is_shown(page: Any, address: str) -> None:
    page.goto(f"{address}/study?study=digits&picked=4")
    page.get_by_role("heading", name="Trial 4", exact=True).wait_for()
    page.get_by_role("combobox", name="Study").click()
    page.get_by_role("option", name="digits-1", exact=True).click()
    page.wait_for_url(f"{address}/study?study=digits-1")
    page.get_by_text("A hollow point may or may not be on the front").wait_for()


def test_a_limit_is_a_condition_of_the_export(page: Any, address: str) -> None:
    page.goto(f"{address}/study?study=digits&limit=0.1")
    page.get_by_text("Best accuracy with latency at most 0.1").wait_for()
    page.goto(f"{address}/{page.get_by_role('link', name='Export networks').get_attribute('href')}")
    condition = page.get_by_role("textbox", name="Conditions")
    wait_until(page, lambda: condition.input_value() == "latency_ms<=0.1")
    wait_until(page, lambda: cells(page)[:1] == ["24"])


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
    page.get_by_role("link", name="Trial 29, best accuracy").wait_for()
    page.get_by_role("link", name="Trial 24, best latency").wait_for()


def test_a_sparse_study_is_compared_with_dense_parents_and_random_masks(page: Any, address: str) -> None:
    page.goto(f"{address}/study?study=sparse")
    page.get_by_text("sparse during training, static masks, unstructured or semi-structured").wait_for()
    page.get_by_role("heading", name="Against dense parents and random masks").wait_for()
    page.get_by_text("Found minus random masks at equal density").wait_for()
    shown = cells(page, 0)
    assert [text.strip() for text in shown if "dense parent" in text or "random masks" in text]
    assert "sparser but not faster" in shown


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
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Trial", exact=True).click()
    page.get_by_text("On the Pareto front").wait_for()
    drawing = page.get_by_role("figure", name="The network as a graph")
    drawing.locator("g.node", has_text="80 µs, 39% of the time").wait_for()
    assert drawing.locator("g.node").count() == 4
    page.get_by_role("heading", name="Where the time goes").wait_for()
    page.get_by_text("Sum of layers 0.204 ms, profiled run 0.2448 ms").wait_for()
    page.locator(".js-plotly-plot .ytick", has_text="the runtime's own").wait_for()
