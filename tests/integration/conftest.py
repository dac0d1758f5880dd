"""Plans, and a target calibrated once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import RestartableServer
from trials.store.read.studies import list_studies
from trials.store.store import Store
from trials.store.write.requests import add_request
from trials.store.write.targets import add_target

MINE = Path(__file__).parent / "mine"


@pytest.fixture
def url(tmp_path: Path, calibrated: dict[str, Any]) -> str:
    """A new database that knows the target."""
    url = f"sqlite:///{tmp_path}/nas.db"
    store = Store(url)
    store.write(add_target, "local", calibrated, calibrated["references"])
    store.close()
    return url


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., Path]:
    """Writes the plan of a small study; keyword arguments replace whole keys."""

    def write(**keys: Any) -> Path:
        data = {
            "name": "study",
            "task": {"name": "logged_task:LoggedDigits", "log": str(tmp_path / "steps")},
            "space": {"name": "plain_convnet"},
            "policies": [{"name": "precision"}],
            "strategy": {"name": "random"},
            "estimator": {"name": "training", "epochs": 3},
            "executor": "local",
            "measure": {"precision": 0.2, "canary_every": 0},
            "budget": {"trials": 2},
            "code": [str(MINE)],
            **keys,
        }
        path = tmp_path / "plan.yaml"
        path.write_text(yaml.safe_dump(data))
        return path

    return write


@pytest.fixture
def server_url(own_server: RestartableServer, calibrated: dict[str, Any]) -> Iterator[str]:
    """A new database of a server that knows the target; a study that still runs at the end is stopped."""
    store = Store(own_server.url)
    store.write(add_target, "local", calibrated, calibrated["references"])
    yield own_server.url
    own_server.start()
    for study in list_studies(store):
        store.write(add_request, study.id, "stop")
    store.close()


@pytest.fixture
def cluster_plan(plan: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """Writes the plan of a study on a cluster that would take many minutes."""

    def write(**keys: Any) -> Path:
        task = {"name": "logged_task:LoggedDigits", "step_s": 0.05, "log": str(tmp_path / "steps")}
        usual = {"task": task, "policies": [], "budget": {"trials": 400}, "executor": "ray_actors", "concurrency": 2}
        return plan(**usual | {"artifacts": {"root": str(tmp_path / "files")}} | keys)

    return write
