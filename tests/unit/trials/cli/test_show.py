"""``nas show`` prints numbers in one format, and hides trials only where nothing was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from tests.browser.seed import seed_database
from trials.cli.commands import register_commands
from trials.cli.console import app
from trials.store.database.engine import open_engine
from trials.store.models import Candidate, Study

HIDDEN = "1 more trial was measured without being trained"


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with the study digits; its trial 3 was measured only."""
    url = f"sqlite:///{tmp_path / 'nas.db'}"
    engine = open_engine(url)
    seed_database(engine)
    with Session(engine) as session:
        named = select(Candidate).join(Study).where(Study.name == "digits", Candidate.number == 3)
        session.execute(named).unique().scalar_one().state = "measured_only"
        session.commit()
    engine.dispose()
    monkeypatch.setenv("COLUMNS", "120")
    return url


def printed(*arguments: str, storage: str) -> str:
    register_commands()
    done = CliRunner().invoke(app, ["show", "digits", *arguments, "--storage", storage])
    assert done.exit_code == 0, done.exception
    return done.stdout


def test_trials_that_were_only_measured_are_told_of_only_where_nothing_was_asked_for(storage: str) -> None:
    assert HIDDEN in printed(storage=storage)
    for asked in (["--front"], ["--where", "latency_ms<0.3"], ["--tag", "x"], ["--state", "complete"]):
        assert HIDDEN not in printed(*asked, storage=storage)


def test_metrics_of_a_trial_are_written_as_everywhere(storage: str) -> None:
    text = printed("3", storage=storage)
    assert "0.5099 ms" in text
    assert "104.6 KiB" in text
