"""A study is paused, resumed and stopped from another process, which knows only the database."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tests.integration.forks import nas, nas_fork
from trials.store.models import Candidate, EpochRow, JobRow, Study
from trials.store.store import Store

SLOW = {"name": "logged_task:LoggedDigits", "step_s": 0.05}


def count(url: str, model: type, **columns: str) -> int:
    with Session(Store(url).engine) as session:
        return session.scalar(select(func.count()).select_from(model).filter_by(**columns)) or 0


def wait_for_epochs(url: str, more_than: int = 0) -> None:
    deadline = time.monotonic() + 120
    while count(url, EpochRow) <= more_than:
        assert time.monotonic() < deadline, "no training"
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["local", "ray_actors"])
def test_a_signal_before_a_node_is_taken_back_releases_the_study(
    executor: str, plan: Callable[..., Path], url: str, tmp_path: Path
) -> None:
    keys = {"task": SLOW | {"log": str(tmp_path / "steps")}, "policies": [], "budget": {"trials": 99}}
    running = nas_fork("search", str(plan(executor=executor, **keys)), "--storage", url)
    wait_for_epochs(url)
    os.kill(running.pid, signal.SIGTERM)
    ended = running.finish()
    assert (ended.returncode, "continue it with: nas resume study" in ended.stdout) == (130, True), ended.stderr
    with Session(Store(url).engine) as session:
        (study,) = session.scalars(select(Study))
        assert (study.state, study.lease_owner) == ("interrupted", None)


@pytest.mark.slow
def test_a_study_is_paused_resumed_and_stopped(plan: Callable[..., Path], url: str, tmp_path: Path) -> None:
    task = SLOW | {"log": str(tmp_path / "steps")}
    path = plan(task=task, policies=[], budget={"trials": 4}, estimator={"name": "training", "epochs": 30})
    running = nas_fork("search", str(path), "--storage", url)
    wait_for_epochs(url)
    assert "study study is paused; continue it with: nas resume study" in nas("pause", "study", "--storage", url).stdout
    ended = running.finish()
    assert ended.returncode == 0, ended.stderr
    assert count(url, Study, state="paused") == 1
    assert count(url, JobRow, state="running") == 0
    refused = nas("pause", "study", "--storage", url, check=False)
    assert (refused.returncode, "is paused, and no process runs it" in refused.stderr) == (2, True), refused.stderr

    before = count(url, EpochRow)
    running = nas_fork("resume", "study", "--storage", url)
    wait_for_epochs(url, before)
    nas("stop", "study", "--storage", url)
    ended = running.finish()
    assert ended.returncode == 0, ended.stderr
    with Session(Store(url).engine) as session:
        (study,) = session.scalars(select(Study))
        assert (study.state, study.lease_owner, study.request) == ("stopped", None, None)
        assert study.finished_at is not None
        states = Counter(session.scalars(select(Candidate.state)))
        assert states["stopped"] >= 1
        assert not states.keys() & {"queued", "running"}
    assert count(url, JobRow, state="running") == count(url, JobRow, state="queued") == 0
    pids = {int(line) for line in (tmp_path / "steps").read_text().split()}
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids), "a worker outlived its study"
    told = [line["text"] for line in json.loads(nas("logs", "study", "--storage", url, "--json").stdout)]
    assert [text for text in told if text.startswith("the study is")] == ["the study is paused", "the study is stopped"]
    assert sum("runs the study" in text for text in told) == 2
    told_of_0 = nas("logs", "study", "0", "--storage", url).stdout
    assert "gate on local, attempt 1 started" in told_of_0
    assert "trial 0 is " in told_of_0
    refused = nas("stop", "study", "--storage", url, check=False)
    assert (refused.returncode, "is stopped already" in refused.stderr) == (2, True), refused.stderr
