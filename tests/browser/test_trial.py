"""The page of one trial, dense and sparse, and its way to an export."""

from __future__ import annotations

import re
from typing import Any

from tests.browser.browsing import cells, wait_until


def test_a_trial_has_layers_curve_and_latency_and_leads_to_its_export(page: Any, address: str) -> None:
    page.goto(f"{address}/trial?study=digits&trial=0")
    for heading in ("Network", "Layers", "Choices", "Training", "Final training", "Latency", "Jobs", "Files"):
        page.get_by_role("heading", name=heading, exact=True).wait_for()
    assert cells(page, 0)[:2] == ["stage0.conv", "conv3x3"]
    page.locator(".js-plotly-plot .bars .point").first.wait_for(state="attached")
    wait_until(page, lambda: "Candidate ÷ reference" in " ".join(page.locator(".js-plotly-plot").all_inner_texts()))
    assert page.get_by_role("button", name="Note and tags").count() == 0  # this dashboard only reads
    page.get_by_test_id("stMain").get_by_role("link", name="Export", exact=True).click()
    page.get_by_text("nas export --trial=0 --out=exported").wait_for()
    page.get_by_text("1 trial", exact=True).wait_for()
    assert page.get_by_role("button", name="Export here").count() == 0
    page.go_back()
    page.get_by_role("link", name="Study digits").click()
    page.get_by_role("heading", name="digits", exact=True).wait_for()


def test_a_sparse_trial_stands_beside_its_dense_twin(page: Any, address: str) -> None:
    page.goto(f"{address}/trial?study=sparse&trial=9")
    page.get_by_text("Sparser but not faster").wait_for()
    page.get_by_text("over its dense twin in fp32").wait_for()
    page.get_by_role("heading", name="Sparsity and precision by site").wait_for()
    wait_until(page, lambda: cells(page, 2)[:2] == ["stage0.conv", "dense"])
    page.get_by_role("combobox", name="Measurement").click()
    page.get_by_role("option", name=re.compile("dense twin at local")).click()
