"""The coordinator is killed at every point of a candidate's pipeline; `nas resume` finishes the study."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tests.integration.forks import Fork, nas, nas_fork
from tests.integration.killed import POINTS
from trials.store.models import Candidate, EpochRow, JobRow, Measurement, Study, SuggestionRow
from trials.store.read.rows import study_row
from trials.store.store import Store

TRIALS, EPOCHS, STEPS = 2, 3, 16
#: Points at which the first training is committed.
TRAINED_BEFORE = ("after commit", "after the twin before commit")
#: Points of a study that measures more candidates than it trains.
CHOOSING = ("after measuring", "before choosing", "after choosing")
#: Points of every other study.
PLAIN = [point for point in POINTS if point not in CHOOSING]
#: The point of which every run of the tests has one.
COMMON = "after the twin before commit"
SEARCH_AND_DIE = "tests.integration.killed:search_and_die"


@pytest.mark.parametrize(
    "point", [point if point == COMMON else pytest.param(point, marks=pytest.mark.slow) for point in PLAIN]
)
def test_resume_after_kill(point: str, plan: Callable[..., Path], url: str, tmp_path: Path) -> None:
    path = plan(policies=[{"name": "precision", "options": ["int8"]}])
    assert Fork(SEARCH_AND_DIE, str(path), url, point).finish().returncode == -9
    before, spent = suggestions(url), Store(url).read(study_row, "study").totals
    assert (spent.get("trained", 0) > 0) == (point in TRAINED_BEFORE)
    nas("resume", "study", "--storage", url)
    with Session(Store(url).engine) as session:
        (study,) = session.scalars(select(Study))
        assert study.state == "complete"
        assert study.totals["trained"] == TRIALS, "totals started again after the kill"
        assert study.totals["wall_s"] > spent.get("wall_s", 0.0)
        candidates = list(session.scalars(select(Candidate)))
        assert [candidate.state for candidate in candidates] == ["complete"] * TRIALS
        jobs = list(session.scalars(select(JobRow)))
        assert {job.state for job in jobs} == {"done"}
        assert len({(job.candidate_id, job.kind, job.target) for job in jobs}) == len(jobs)
        measured = session.scalar(select(func.count(Measurement.id)))
        assert measured == sum(job.kind in ("gate", "measure", "twin") for job in jobs)
        assert sum(job.kind == "twin" for job in jobs) == TRIALS
        epochs = session.execute(select(EpochRow.candidate_id, func.count(EpochRow.id)).group_by(EpochRow.candidate_id))
        assert {count for _, count in epochs} == {EPOCHS}
    after = suggestions(url)
    assert after[: len(before)] == before
    assert len(set(map(str, after))) == len(after), "a suggestion after the resume repeats an earlier one"
    steps = len((tmp_path / "steps").read_text().splitlines())
    assert TRIALS * EPOCHS * STEPS <= steps <= TRIALS * EPOCHS * STEPS + STEPS


@pytest.mark.parametrize(
    "point", [point if point == "after choosing" else pytest.param(point, marks=pytest.mark.slow) for point in POINTS]
)
def test_resume_after_kill_of_a_study_that_measures_many(
    point: str, plan: Callable[..., Path], url: str, tmp_path: Path
) -> None:
    budget = {"trials": TRIALS, "measurements": 6}
    path = plan(policies=[{"name": "precision", "options": ["int8"]}], strategy={"name": "pareto_bo"}, budget=budget)
    assert Fork(SEARCH_AND_DIE, str(path), url, point).finish().returncode == -9
    before = suggestions(url)
    nas("resume", "study", "--storage", url)
    with Session(Store(url).engine) as session:
        (study,) = session.scalars(select(Study))
        assert study.state == "complete"
        states = Counter(session.scalars(select(Candidate.state)))
        assert states["complete"] == TRIALS
        assert 0 <= states["measured_only"] <= 6
        assert states.keys() <= {"complete", "measured_only"}
        jobs = Counter(kind for kind, state in session.execute(select(JobRow.kind, JobRow.state)) if state == "done")
        assert (jobs["gate"], jobs["train"]) == (states.total(), TRIALS)
        assert session.scalar(select(func.count(JobRow.id)).where(JobRow.state != "done")) == 0
        epochs = session.execute(select(EpochRow.candidate_id, func.count(EpochRow.id)).group_by(EpochRow.candidate_id))
        assert sorted(count for _, count in epochs) == [EPOCHS] * TRIALS
    assert suggestions(url)[: len(before)] == before
    steps = len((tmp_path / "steps").read_text().splitlines())
    assert TRIALS * EPOCHS * STEPS <= steps <= TRIALS * EPOCHS * STEPS + STEPS


def test_no_worker_outlives_a_killed_coordinator(plan: Callable[..., Path], url: str, tmp_path: Path) -> None:
    task = {"name": "logged_task:LoggedDigits", "log": str(tmp_path / "steps"), "step_s": 0.05}
    assert Fork(SEARCH_AND_DIE, str(plan(task=task)), url, "during training").finish().returncode == -9
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        pids = {int(line) for line in (tmp_path / "steps").read_text().split()}
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return
        time.sleep(0.2)
    raise AssertionError("a trainer goes on without its coordinator")


def test_one_of_two_simultaneous_resumes_is_refused(plan: Callable[..., Path], url: str) -> None:
    Fork(SEARCH_AND_DIE, str(plan()), url, "after propose").finish()
    both = [nas_fork("resume", "study", "--storage", url) for _ in range(2)]
    done = [process.finish() for process in both]
    assert sorted(process.returncode for process in done) == [0, 2], done
    # The second one may come when the first has already finished the study.
    assert any("has been run by" in process.stderr or "used up its budget" in process.stderr for process in done)
    with Session(Store(url).engine) as session:
        assert session.scalar(select(func.count(Candidate.id))) == TRIALS


def suggestions(url: str) -> list[dict[str, object]]:
    with Session(Store(url).engine) as session:
        return list(session.scalars(select(SuggestionRow.answers).order_by(SuggestionRow.number)))
