"""Dense twins within the trial of a candidate: a real coordinator and store, and workers that only pretend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from nas.errors import UnavailableError
from tests.unit.trials.assigned import assigned
from tests.unit.trials.pretending import CANDIDATE_MS, TWIN_MS, Pretending, timed
from trials.coordinator.coordinator import Coordinator
from trials.coordinator.pipeline import OpenTrial, after, next_step
from trials.executors import Executor, Job
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem
from trials.store.models import JobRow, Measurement
from trials.store.read.candidates import candidates_page
from trials.store.read.rows import study_row
from trials.store.read.twins import num_untimed_twins
from trials.store.store import Store
from trials.store.write.targets import add_target

NETWORK = {"stride_mode": "stride", "dropout": 0.0}
NETWORK |= {f"stage{n}.depth": 1 for n in range(1, 5)} | {f"stage{n}.conv1.width": 8 for n in range(1, 5)}
NETWORK |= {f"stage{n}.conv1.kernel": 3 for n in range(1, 5)}
STAGES = ("stage1", "stage2", "stage3", "stage4", "head")


def choices(**bits: str) -> dict[str, Any]:
    """A network whose stages are in fp32, except the named ones."""
    return NETWORK | {f"precision.{stage}": bits.get(stage, "fp32") for stage in STAGES}


LISTED = [choices(), choices(stage1="int8"), choices(stage2="int8"), choices(head="int8")]


@pytest.fixture(scope="module")
def problem() -> Problem:
    return open_problem(
        make_plan(
            {
                "task": {"name": "digits", "image_size": 8},
                "space": {"name": "plain_convnet"},
                "policies": [{"name": "precision", "scope": "stage"}],
                "strategy": {"name": "given", "choices": LISTED},
                "measure": {"audit": 0.0},
                "executor": "local",
                "faults": {"patience_minutes": 0},
            }
        )
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'nas.db'}")
    store.write(add_target, "local", {}, {})
    yield store
    store.close()


def run(store: Store, problem: Problem, executor: Executor) -> str:
    """Start the study, or resume it."""
    return Coordinator(store, assigned(store, problem), executor, {}).run()


def test_candidates_whose_policies_changed_something_are_timed_beside_their_twin(
    store: Store, problem: Problem
) -> None:
    """Policies change three of four candidates, all of one dense network: it is timed once, and all three get its
    latency.
    """
    executor = Pretending()
    assert run(store, problem, executor) == "exhausted"
    assert [kind for kind, _ in executor.ran].count("twin") == 1
    rows = candidates_page(store, "study").rows
    assert [row.state for row in rows] == ["complete"] * 4
    assert "dense_latency_ms" not in rows[0].metrics
    for row in rows[1:]:
        assert row.metrics["dense_latency_ms"].value == TWIN_MS
        assert row.metrics["latency_ms"].value == CANDIDATE_MS
        assert row.metrics["size_bytes"].value == 1.0
    with Session(store.engine) as session:
        assert len(session.scalars(select(Measurement).where(Measurement.purpose == "twin")).all()) == 1


def test_a_twin_timed_before_an_interruption_is_not_timed_again(store: Store, problem: Problem) -> None:
    class Killed(Exception):
        pass

    class Dying(Pretending):
        def submit(self, job: Job) -> None:
            if job.function.endswith(":train") and job.payload["candidate"] == 3:
                raise Killed
            super().submit(job)

    first, second = Dying(), Pretending()
    with pytest.raises(Killed):
        run(store, problem, first)
    run(store, problem, second)
    assert [[kind for kind, _ in executor.ran].count("twin") for executor in (first, second)] == [1, 0]
    assert all("dense_latency_ms" in row.metrics for row in candidates_page(store, "study").rows[1:])


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), UnavailableError("core 1 is taken")])
def test_a_candidate_outlives_the_failure_of_its_twin(error: RuntimeError, store: Store, problem: Problem) -> None:
    """A twin that can't be timed is tried again at the end of the study, and when the study is resumed."""
    fails = True

    def twin(run: int) -> Mapping[str, Any]:
        if fails:
            raise error
        return timed(TWIN_MS, "t")

    first = Pretending(twin=twin)
    assert run(store, problem, first) == "exhausted"
    assert [kind for kind, _ in first.ran].count("twin") == 6
    rows = candidates_page(store, "study").rows
    assert [row.state for row in rows] == ["complete"] * 4
    assert rows[0].flags == ()
    for row in rows[1:]:
        assert "dense_latency_ms" not in row.metrics
        (flag,) = row.flags
        assert "dense twin not measured on local" in flag
        assert str(error) in flag
    study_id = store.read(study_row, "study").id
    assert store.read(num_untimed_twins, study_id) == 3
    fails = False
    run(store, problem, Pretending(twin=twin))
    rows = candidates_page(store, "study").rows
    assert [row.state for row in rows] == ["complete"] * 4
    assert all("dense_latency_ms" in row.metrics and not row.missing for row in rows[1:])
    assert store.read(num_untimed_twins, study_id) == 0
    with Session(store.engine) as session:
        assert {row.state for row in session.scalars(select(JobRow))} == {"done"}


def test_the_twin_comes_last_and_only_where_policies_changed_something(problem: Problem) -> None:
    def trial(twin: str) -> OpenTrial:
        results = {("gate", "local"): {"structure_hash": "a"}, ("train", ""): {"structure_hash": "a", "twin": twin}}
        return OpenTrial(0, 0, "own", {}, "running", results)

    assert next_step(problem, trial("own")) is None
    changed = trial("other")
    assert next_step(problem, changed) == ("twin", "local")
    outcome = after(problem, {}, changed, ("twin", "local"), timed(TWIN_MS, "t"))
    assert outcome.candidate_state == "complete"
    assert [metric.name for metric in outcome.metrics] == ["dense_latency_ms"]
    assert [measurement.purpose for measurement in outcome.measurements] == ["twin"]
