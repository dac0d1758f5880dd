"""Plans, and a target calibrated once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from trials.store.store import Store
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
