"""The documentation site builds in strict mode, needs no network, and has no broken links."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zlib
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from pydantic import BaseModel

import measured_nas
from nas.estimators import ESTIMATORS
from nas.export import EXPORTERS
from nas.export.formats import FORMATS
from nas.latency.runtimes import RUNTIMES
from nas.layouts import LAYOUTS
from nas.proxies import PROXIES
from nas.quantization import CALIBRATIONS
from nas.registry import Registry
from nas.space import POLICIES
from nas.sparsity import ALLOCATIONS, PATTERNS, SCHEDULES
from nas.strategies import STRATEGIES
from nas.tasks import TASKS
from search_spaces import SPACES
from tests.unit.test_docs import models_in
from trials.executors import EXECUTORS
from trials.plans.plan import Plan

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
KINDS: list[Registry[Any]] = [
    SPACES,
    LAYOUTS,
    TASKS,
    POLICIES,
    CALIBRATIONS,
    PATTERNS,
    ALLOCATIONS,
    SCHEDULES,
    STRATEGIES,
    PROXIES,
    ESTIMATORS,
    EXPORTERS,
    FORMATS,
    RUNTIMES,
    EXECUTORS,
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def names_in(site: Path) -> set[str]:
    """Every Python object that the site documents. The inventory has four header lines, then compressed lines."""
    inventory = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    return {line.split()[0] for line in zlib.decompress(inventory).decode().splitlines()}


def models(model: type[BaseModel]) -> set[type[BaseModel]]:
    inner = {found for field in model.model_fields.values() for found in models_in(field.annotation)}
    return {model}.union(*map(models, inner))


@pytest.mark.parametrize("registry", KINDS, ids=lambda registry: registry.kind)
def test_every_registered_class_has_its_reference(registry: Registry[Any], site: Path) -> None:
    documented = names_in(site)
    for name in registry.names():
        entry = registry.get(name)
        found = entry if isinstance(entry, type) else type(entry)
        assert f"{found.__module__}.{found.__qualname__}" in documented, name


def test_every_name_of_the_package_has_its_reference(site: Path) -> None:
    documented = names_in(site)
    for name in set(measured_nas.__all__) - {"__version__"}:
        found = getattr(measured_nas, name)
        assert f"{found.__module__}.{found.__qualname__}" in documented, name


def test_every_model_of_a_plan_has_its_reference(site: Path) -> None:
    documented = names_in(site)
    assert not {f"{model.__module__}.{model.__qualname__}" for model in models(Plan)} - documented
    assert "trials.plans.plan.Plan.concurrency" in documented


def addresses(text: str, tags: str) -> list[str]:
    """The targets of the links in elements with these tags."""
    found = re.findall(rf"<(?:{tags})\b[^>]*?\b(?:src|href)=[\"']?([^\"'\s>]+)", text)
    return [unquote(unescape(address)) for address in found]


def test_no_page_loads_anything_from_the_network(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = addresses(page.read_text(), "script|link|img|iframe|source")
        assert loaded
        assert not [address for address in loaded if re.match(r"(https?:)?//", address)], page


def test_links_lead_to_a_page_and_its_heading(site: Path) -> None:
    pages = {page.resolve(): page.read_text() for page in site.rglob("*.html") if page.name != "404.html"}
    headings = {page: set(re.findall(r"\bid=[\"']?([^\"'\s>]+)", text)) for page, text in pages.items()}
    links = {(page, link) for page, text in pages.items() for link in addresses(text, "a")}
    inner = [(page, link) for page, link in links if not re.match(r"https?:|mailto:", link)]
    assert len(inner) > 1000
    for page, link in inner:
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page}: {link}"
        if heading and target in headings:
            assert heading in headings[target], f"{page}: {link}"


def test_files_outside_the_documents_are_part_of_the_site(site: Path) -> None:
    assert "test_ops.py" in (site / "repository" / "CONTRIBUTING.html").read_text()
    plan = Path("examples", "outside", "network.yaml")
    assert (site / "repository" / plan).read_text() == (ROOT / plan).read_text()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_search_works_from_the_disk(site: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    asked: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto((site / "index.html").as_uri())
        page.get_by_role("textbox", name="Search").fill("remeasure")
        found = page.locator(".md-search-result__item").first
        found.wait_for()
        assert "plan" in found.inner_text().lower()
        browser.close()
    assert not [url for url in asked if re.match(r"https?:", url)]
