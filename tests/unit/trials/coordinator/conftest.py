"""A running study in a store of its own, whose jobs stay with the workers until a test ends them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.trials.assigned import assigned
from tests.unit.trials.coordinator.under_way import Held, UnderWay
from trials.coordinator.context import CoordinatorContext
from trials.coordinator.dispatch import Dispatcher
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem
from trials.store.store import Store
from trials.store.write.targets import add_target

PLAN = {
    "task": {"name": "digits", "image_size": 8},
    "space": {"name": "plain_convnet"},
    "executor": "local",
    "measure": {"audit": 0.0},
}
TARGET = {"spec": {"name": "local", "runtime": "onnxruntime"}, "references": {"r5": 1.0}, "description": {"cores": 2}}


@pytest.fixture(scope="session")
def plain_problem() -> Problem:
    """Digits on plain networks, without policies; every feasible network is trained."""
    return open_problem(make_plan({**PLAN, "budget": {"measurements": 0}}))


@pytest.fixture(scope="session")
def measuring_problem() -> Problem:
    """Digits on plain networks, of which more may be measured than trained."""
    return open_problem(make_plan(PLAN))


@pytest.fixture
def under_way(tmp_path: Path, plain_problem: Problem) -> Iterator[UnderWay]:
    """A study whose target is ``local``, and whose executor has one worker per pool."""
    store = Store(f"sqlite:///{tmp_path / 'nas.db'}")
    store.write(add_target, "local", TARGET, TARGET["references"])
    assignment = assigned(store, plain_problem, targets={"local": TARGET}, folder=str(tmp_path / "files"))
    executor = Held()
    context = CoordinatorContext.of(store, assignment, executor)
    yield UnderWay(context, executor, Dispatcher(context))
    store.close()
