"""What a visitor does with a real study is done to its end."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tests.browser.browsing import cells, served, wait_until
from tests.browser.real_study import nas, search
from trials.export.sums import check_sums
from trials.store.database.engine import open_engine
from trials.store.models import Candidate

#: Seconds for a command of a study on a busy machine.
PATIENCE_S = 240


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a database with a study of three trials."""
    folder = tmp_path_factory.mktemp("real")
    searching = search(f"sqlite:///{folder / 'nas.db'}", folder, 3)
    assert searching.wait(PATIENCE_S) == 0, (folder / "search.log").read_text()
    return folder


def count(folder: Path) -> int:
    engine = open_engine(f"sqlite:///{folder / 'nas.db'}")
    with Session(engine) as session:
        found = session.scalar(select(func.count()).select_from(Candidate)) or 0
    engine.dispose()
    return found


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_study_is_extended_exported_paused_resumed_and_stopped(page: Any, real: Path) -> None:
    with served(f"sqlite:///{real / 'nas.db'}", real, allow_actions=True) as address:
        _extend(page, address, real)
        _export(page, address, real)
        _end(page, address, real)
        page.goto("about:blank")


def _extend(page: Any, address: str, folder: Path) -> None:
    page.goto(f"{address}/study?study=digits")
    page.get_by_role("spinbutton", name="More trials").fill("2")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Extend").click()
    page.get_by_text("nas extend -- digits budget.trials=+2").wait_for()
    page.get_by_text("Trials: 5 complete").wait_for(timeout=1000 * PATIENCE_S)
    page.get_by_text("done", exact=True).wait_for(timeout=1000 * PATIENCE_S)
    assert count(folder) == 5


def _export(page: Any, address: str, folder: Path) -> None:
    page.get_by_role("link", name="Export networks").click()
    page.get_by_text("nas export --best --out=exported").wait_for()
    page.get_by_role("button", name="Export here").click()
    page.get_by_text("Command and log: done").wait_for(timeout=1000 * PATIENCE_S)
    wait_until(page, lambda: {"pass", "warning"} & set(cells(page)))
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download as zip").click()
    with zipfile.ZipFile(saved.value.path()) as packed:
        packed.extractall(folder / "taken")
    (sums,) = (folder / "taken").glob("digits-trial-*/SHA256SUMS")
    assert saved.value.suggested_filename == f"{sums.parent.name}.zip"
    assert "model.onnx" in check_sums(sums.parent)
    log = folder / "verify.log"
    assert nas("verify", str(sums.parent), cwd=folder, log=log).wait(PATIENCE_S) == 0, log.read_text()


def _end(page: Any, address: str, folder: Path) -> None:
    def state(name: str) -> None:
        page.get_by_test_id("stMain").get_by_text(name, exact=True).first.wait_for(timeout=1000 * PATIENCE_S)

    page.goto(f"{address}/study?study=digits")
    page.get_by_role("spinbutton", name="More trials").fill("500")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Extend").click()
    state("running")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Resume").click(timeout=1000 * PATIENCE_S)
    page.get_by_role("button", name="Pause").wait_for(timeout=1000 * PATIENCE_S)
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Extend runs the rest and the trials that it adds").wait_for(timeout=1000 * PATIENCE_S)
    assert 5 < count(folder) < 505
