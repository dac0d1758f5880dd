"""Actions are refused unless they are allowed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dashboard.actions import Actions
from nas.errors import PlanError, StudyError
from tests.browser.seed import seed_database
from trials.store.database.engine import open_engine
from trials.store.read.remarks import remarks
from trials.store.records import Remark


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'nas.db'}"
    engine = open_engine(url)
    seed_database(engine)
    engine.dispose()
    return url


def test_a_dashboard_that_only_reads_refuses_every_action(url: str, tmp_path: Path) -> None:
    actions = Actions(url, allowed=False)
    for action in (
        lambda: actions.remark("digits", None, "x", add=[], remove=[]),
        lambda: actions.start("digits", "list"),
        lambda: actions.export("digits", ["digits", "--best"]),
        lambda: actions.run("list"),
    ):
        with pytest.raises(StudyError, match="--allow-actions"):
            action()
    assert not list(tmp_path.glob("nas_commands"))
    assert remarks(open_engine(url), "digits") == {}


def test_a_command_that_takes_too_long_is_ended_with_a_message(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.actions.WAIT_S", 0.01)
    with pytest.raises(StudyError, match="nas list was ended, because it took longer than"):
        Actions(url, allowed=True).run("list")


def test_allowed_actions_change_the_database_and_start_commands(url: str) -> None:
    actions = Actions(url, allowed=True)
    actions.remark("digits", 3, "x", add=["a"], remove=["b"])
    assert remarks(open_engine(url), "digits") == {3: Remark("x", ("a",))}
    with pytest.raises(PlanError):
        actions.remark("digits", 3, "x", add=["a b"], remove=[])
    assert "digits" in actions.run("list")
    with pytest.raises(StudyError, match="no study 'digitz'"):
        actions.run("show", "digitz")
    command = actions.export("digits", ["digits", "--best"])
    with pytest.raises(StudyError, match="--allow-actions"):
        Actions(url, allowed=False).cancel(command)
    assert not command.is_over
    while not command.is_over:
        time.sleep(0.1)
    assert command.state == "failed"  # the files of this study do not exist
    assert command.arguments[:3] == ("export", "--out", str(command.files))
