"""Studies with successive halving on real trainings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nas.space import Architecture
from tests.integration.forks import Fork, nas
from tests.integration.killed import RUNGS
from trials.launch.studies import search
from trials.plans.loading import load_plan
from trials.plans.problem import open_problem
from trials.store.models import ArtifactRow, Candidate, EpochRow, JobRow
from trials.store.store import Store

TRIALS, STEPS = 4, 16
RAY = ("ray_actors", "ray_tune")
HALVED = {"name": "training", "epochs": 4, "halving": {"factor": 2, "first_epochs": 1}}
KEYS: dict[str, Any] = {"policies": [], "estimator": HALVED, "budget": {"trials": TRIALS}}


def epochs_of(session: Session) -> dict[int, int]:
    """Candidate → epochs of its curve."""
    query = select(EpochRow.candidate_id, func.count(EpochRow.id)).group_by(EpochRow.candidate_id)
    return {candidate: count for candidate, count in session.execute(query)}


@pytest.mark.parametrize("executor", ["local", *(pytest.param(each, marks=pytest.mark.slow) for each in RAY)])
def test_a_training_that_waited_ends_like_one_that_did_not(
    executor: str, plan: Callable[..., Path], url: str, tmp_path: Path
) -> None:
    estimator = {"name": "training", "epochs": 3, "halving": {"first_epochs": 1}}
    path = plan(
        policies=[], estimator=estimator, budget={"trials": 3}, artifacts={"retention": "all"}, executor=executor
    )
    search(load_plan(path), storage=url)
    with Session(Store(url).engine) as session:
        assert Counter(session.scalars(select(Candidate.state))) == {"complete": 1, "stopped": 2}
        epochs = epochs_of(session)
        assert sorted(epochs.values()) == [1, 1, 3]
        steps = len((tmp_path / "steps").read_text().splitlines())
        assert steps == sum(epochs.values()) * STEPS, "an epoch was trained twice"
        assert not list(tmp_path.glob("**/training.json")), "checkpoints are left"
        problem = open_problem(load_plan(path, ["estimator={name: training, epochs: 3}"]))
        complete = session.scalars(select(Candidate).where(Candidate.state == "complete")).all()
        for candidate in complete:
            network = problem.searched.build(Architecture.from_json(candidate.architecture.definition), 0)
            curve = [epoch.values for epoch in problem.estimator().fit(network, problem.task, seed=0)]
            network.finalize()
            query = select(EpochRow.values).where(EpochRow.candidate_id == candidate.id).order_by(EpochRow.epoch)
            assert [timeless(values) for values in session.scalars(query)] == [timeless(values) for values in curve]
            file = select(ArtifactRow.uri).where(
                ArtifactRow.candidate_id == candidate.id, ArtifactRow.kind == "weights"
            )
            weights, expected = load_file(session.scalars(file).one()), network.model.state_dict()
            assert weights.keys() == expected.keys()
            assert all(torch.equal(weights[name], value) for name, value in expected.items())


def timeless(values: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in values.items() if key != "seconds"}


@pytest.mark.slow
@pytest.mark.parametrize("point", RUNGS)
def test_resume_after_a_kill_at_a_rung(point: str, plan: Callable[..., Path], url: str, tmp_path: Path) -> None:
    path = plan(**KEYS)
    assert Fork("tests.integration.killed:search_and_die", str(path), url, point).finish().returncode == -9
    nas("resume", "study", "--storage", url)
    with Session(Store(url).engine) as session:
        states = Counter(session.scalars(select(Candidate.state)))
        assert states.keys() == {"complete", "stopped"}
        assert states.total() == TRIALS
        jobs = Counter(kind for kind, state in session.execute(select(JobRow.kind, JobRow.state)) if state == "done")
        assert jobs["gate"] == jobs["rung-1"] == TRIALS
        assert TRIALS > jobs["rung-2"] >= TRIALS // 2
        assert session.scalar(select(func.count(JobRow.id)).where(JobRow.state != "done")) == 0
        spent = sum(epochs_of(session).values()) * STEPS
    steps = len((tmp_path / "steps").read_text().splitlines())
    assert spent <= steps <= spent + STEPS
