"""Enqueueing from the command line and from Python."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import measured_nas as mn
from nas.errors import PlanError
from tests.unit.trials.assigned import assigned
from trials.cli.commands import register_commands
from trials.cli.console import app
from trials.plans.plan import make_plan
from trials.plans.problem import open_problem
from trials.store.read.history import enqueued_candidates
from trials.store.read.rows import study_row
from trials.store.store import Store
from trials.store.write.leases import release_lease

PLAN = {"task": {"name": "digits", "image_size": 8}, "space": "plain_convnet", "strategy": "random"}


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database with an interrupted study."""
    url = f"sqlite:///{tmp_path / 'nas.db'}"
    store = Store(url)
    lease = assigned(store, open_problem(make_plan(PLAN))).lease
    store.write(release_lease, lease, "interrupted", {})
    store.close()
    return url


def enqueued(url: str) -> list[object]:
    store = Store(url)
    return list(store.read(enqueued_candidates, store.read(study_row, "study").id))


def test_the_command_stores_a_candidate_and_says_how_the_study_goes_on(url: str) -> None:
    register_commands()
    done = CliRunner().invoke(app, ["enqueue", "study", "stage1.depth=2", "dropout=0", "--storage", url])
    assert done.exit_code == 0, done.exception
    assert "nas resume study" in done.output
    assert enqueued(url) == [{"stage1.depth": 2, "dropout": 0.0}]


def test_a_study_takes_candidates_in_python(url: str) -> None:
    study = mn.open_study(url, "study")
    study.enqueue({"stage1.depth": 1})
    study.enqueue({})
    with pytest.raises(PlanError, match=r"study study: no choice 'stage1\.dept'; did you mean 'stage1\.depth'"):
        study.enqueue({"stage1.dept": 1})
    assert enqueued(url) == [{"stage1.depth": 1}, {}]
