"""One browser, one database and two servers for all tests of this folder: one only reads, one allows actions.

They end with the last of these tests, because the browser's driver occupies the event loop of its process.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.browsing import ARGUMENTS, CHROMIUM, PASSWORD, open_tab, served
from tests.browser.seed import seed_database
from tests.browser.seed_hostile import seed_hostile
from tests.browser.seed_measurements import seed_measurements
from tests.browser.seed_sparse import seed_sparse
from tests.browser.seed_targets import seed_targets
from tests.browser.seed_variant import seed_variant
from trials.store.database.engine import open_engine


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Chromium; its tests are skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def storage(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a database with every kind of study."""
    url = f"sqlite:///{tmp_path_factory.mktemp('browser') / 'nas.db'}"
    engine = open_engine(url)
    for seed in (seed_database, seed_variant, seed_sparse, seed_targets, seed_measurements, seed_hostile):
        seed(engine)
    engine.dispose()
    return url


@pytest.fixture(scope="package")
def address(storage: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A dashboard that only reads."""
    with served(storage, tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture(scope="package")
def visitor(browser: Any, address: str) -> Any:
    """A visitor, whose tabs share a cache and a process; a tab without scripts keeps this process alive."""
    visitor = browser.new_context(viewport={"width": 1440, "height": 2400})
    visitor.new_page().goto(f"{address}/_stcore/health")
    return visitor


@pytest.fixture(scope="package")
def allowed(storage: str, visitor: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A dashboard that allows actions and asks for a password, which the visitor has given."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_DASHBOARD_PASSWORD", PASSWORD)
        with served(storage, tmp_path_factory.mktemp("allowed"), allow_actions=True, gated=True) as address:
            given = b64encode(f"any:{PASSWORD}".encode()).decode()
            visitor.request.get(address, headers={"Authorization": f"Basic {given}"})  # the answer sets a cookie
            yield address


@pytest.fixture
def page(visitor: Any) -> Iterator[Any]:
    """A tab of the visitor."""
    with open_tab(visitor) as page:
        yield page
