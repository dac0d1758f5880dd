"""A plan's folder may hold files with the names of modules of Python, of libraries and of this project."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

NAMES = (
    "queue",
    "profile",
    "types",
    "random",
    "nas",
    "trials",
    "search_spaces",
    "numpy",
    "torch",
    "json",
    "ray",
    "yaml",
)
#: Commands installed beside the interpreter that runs the tests.
NAS = str(Path(sys.executable).parent / "nas")
TASK = """
from nas.tasks.digits import Digits

class Mine(Digits):
    pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A plan, its own task, and modules that must not be imported."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(f"raise RuntimeError('the plan has shadowed {name}')\n")
    (tmp_path / "my_task.py").write_text(TASK)
    write(tmp_path)
    return tmp_path


def write(folder: Path, **keys: Any) -> None:
    plan = {
        "name": "study",
        "task": {"name": "my_task:Mine"},
        "space": {"name": "plain_convnet"},
        "strategy": {"name": "random"},
        "estimator": {"name": "training", "epochs": 1},
        "measure": {"precision": 0.5, "canary_every": 0, "budget_s": 0.5},
        "executor": "local",
        "budget": {"trials": 1},
        **keys,
    }
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "has shadowed" not in done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_study_from_within_such_a_folder(folder: Path) -> None:
    run(folder, NAS, "search", "plan.yaml")
    assert "complete" in run(folder, NAS, "show", "study")


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["ray_actors", "ray_tune"])
def test_a_study_of_ray_from_within_such_a_folder(executor: str, folder: Path) -> None:
    write(folder, executor=executor)
    run(folder, NAS, "search", "plan.yaml")
    assert "complete" in run(folder, NAS, "show", "study")


def test_a_module_of_such_a_name_is_not_the_user_s(folder: Path) -> None:
    write(folder, task={"name": "queue:Mine"})
    done = subprocess.run([NAS, "validate", "plan.yaml"], cwd=folder, capture_output=True, text=True, timeout=280)
    assert done.returncode == 2
    assert "if a file of yours has the same name as an installed module, rename it" in done.stderr


def test_the_module_run_by_python_leaves_the_folder_aside(folder: Path) -> None:
    (folder / "types.py").unlink()  # Python itself imports this file before any line of this project runs
    run(folder, sys.executable, "-m", "measured_nas", "list")
