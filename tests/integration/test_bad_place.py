"""Real faults of the place cost time, but never a candidate, one of its attempts or the budget."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.contracts.test_executors import small_disk
from tests.integration.forks import nas
from trials.store.models import Candidate, Study
from trials.store.store import Store


def states(url: str) -> tuple[str, list[str]]:
    """The states of the study and of its candidates."""
    with Session(Store(url).engine) as session:
        (study,) = session.scalars(select(Study))
        return study.state, [row.state for row in session.scalars(select(Candidate))]


@pytest.mark.slow
def test_a_training_process_killed_four_times(plan: Callable[..., Path], url: str, tmp_path: Path) -> None:
    task = {"name": "bad_place:Killed", "marks": str(tmp_path / "marks"), "times": 4}
    nas("search", str(plan(task=task, policies=[], budget={"trials": 1}, concurrency=1)), "--storage", url)
    assert states(url) == ("complete", ["complete"])
    assert (tmp_path / "marks").read_text() == "xxxx"


def test_a_full_disk_interrupts_and_resumes(plan: Callable[..., Path], url: str, tmp_path: Path) -> None:
    with small_disk(tmp_path, megabytes=2) as disk:
        (disk / "filler").write_bytes(bytes(2_000_000))
        path = plan(artifacts={"root": str(disk / "files")}, policies=[], faults={"patience_minutes": 0.02})
        stopped = nas("search", str(path), "--storage", url, check=False)
        assert stopped.returncode == 4, stopped.stderr
        assert "nas resume study" in stopped.stderr
        state, candidates = states(url)
        assert (state, "failed" in candidates) == ("interrupted", False)
        subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
        nas("resume", "study", "--storage", url)
        assert states(url) == ("complete", ["complete", "complete"])


@pytest.mark.slow  # tests/unit/trials/coordinator/test_faults.py has the rule without real workers
def test_a_study_whose_first_candidates_fail_alike_stops(plan: Callable[..., Path], url: str) -> None:
    path = plan(task={"name": "logged_task:RaisingDigits"}, policies=[], budget={"trials": 9})
    stopped = nas("search", str(path), "--storage", url, "faults.first_failures=2", check=False)
    assert stopped.returncode == 3
    assert "ValueError: this task can't be trained on" in stopped.stderr
    state, candidates = states(url)
    assert (state, candidates.count("failed")) == ("interrupted", 2)
