"""A front is measured in another environment: a second interpreter with packages of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import onnxruntime
import pytest

from nas.errors import MeasureError, PlanError, StudyError
from tests.unit.trials.in_process import search_in_process
from trials.cli.views import print_recheck
from trials.reporting.study import study_view
from trials.store.read.points import points
from trials.store.read.rechecks import rechecks
from trials.store.store import Store
from trials.targets import environments, rechecking
from trials.targets.environments import checked_interpreter, environment_of
from trials.targets.rechecking import recheck

PLAN = {
    "task": {"name": "digits", "image_size": 8},
    "space": {"name": "plain_convnet"},
    "strategy": {"name": "random"},
    "estimator": {"name": "training", "epochs": 1},
    "measure": {"precision": 0.5, "budget_s": 0.2, "canary_every": 0, "audit": 0.0},
    "executor": "local",
    "budget": {"trials": 1},
}
OTHER_VERSION = "99.9.9"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, calibrated: dict[str, Any], _measuring: None) -> Iterator[Store]:
    path = search_in_process(PLAN, tmp_path_factory.mktemp("rechecked") / "nas.db", calibrated)
    with closing(Store(f"sqlite:///{path}")) as found:
        yield found


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the installed ONNX Runtime, which says that it has another version, and without torch."""
    folder = tmp_path_factory.mktemp("environment") / "other"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (libraries,) = (folder / "lib").glob("python*/site-packages")
    for package in (onnxruntime, numpy):
        found = Path(package.__file__).parent
        (libraries / found.name).symlink_to(found)
        for beside in found.parent.glob(f"{found.name}.libs"):
            (libraries / beside.name).symlink_to(beside)
    (libraries / "sitecustomize.py").write_text(f"import onnxruntime\nonnxruntime.__version__ = {OTHER_VERSION!r}\n")
    return folder / "bin" / "python"


def test_the_front_is_measured_in_both_environments_and_stored(
    store: Store, python: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    found = recheck(store, "study", python, says=said.append)
    assert said == ["measuring trial 0 in both environments"]
    assert (found.present, found.other) == (f"onnxruntime {onnxruntime.__version__}", f"onnxruntime {OTHER_VERSION}")
    (trial,) = found.trials
    assert 0 < trial.low <= trial.ratio <= trial.high
    assert (found.entered, found.left) == ([], [])
    assert rechecks(store, "study") == [json.loads(json.dumps(found.to_json()))]
    with study_view(store, "study") as study:
        assert study.rechecks == [found]
    print_recheck(found)
    assert "The front stays as it is." in capsys.readouterr().out


def test_the_layers_of_a_slower_network_are_compared(
    store: Store, python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rechecking, "ratio", lambda *arguments: (1.5, 1.4, 1.6))
    profiled: list[Path] = []
    nodes = rechecking._nodes

    def slowed(path: Path, environment: Any) -> Any:
        profiled.append(path)
        factor = 3.0 if len(profiled) == 2 else 1.0
        return [{**node, "time_ms": factor * node["time_ms"]} for node in nodes(path, environment)]

    monkeypatch.setattr(rechecking, "_nodes", slowed)
    (trial,) = recheck(store, "study", python).trials
    assert trial.change == "slower"
    assert len(profiled) == 2
    assert any(layer.layer.startswith("stage") for layer in trial.slower_layers)
    assert all(layer.other_ms > layer.present_ms for layer in trial.slower_layers)


def test_latencies_of_another_target_stay_as_they_are(
    store: Store, python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A latency without a target's name is that of the first target."""
    found = replace(points(store, "study"), metrics=("accuracy", "latency_ms"))
    assert rechecking._latencies(found, "local", is_first=True) == [1]
    assert rechecking._latencies(found, "pi", is_first=False) == []
    both = replace(found, metrics=("latency_ms@local", "latency_ms@pi", "size_bytes"))
    assert rechecking._latencies(both, "pi", is_first=False) == [1]
    names = ("accuracy", "latency_ms@pi")
    monkeypatch.setattr(rechecking, "points", lambda *given: replace(found, metrics=names, objectives=names))
    assert "The front does not depend on local: no objective" in recheck(store, "study", python).verdict


def test_an_environment_without_the_runtime_is_refused(store: Store, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    before = rechecks(store, "study")
    with pytest.raises(MeasureError, match="No module named"):
        recheck(store, "study", tmp_path / "bare" / "bin" / "python")
    assert rechecks(store, "study") == before


def test_targets_and_networks_that_can_not_be_measured(
    store: Store, python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PlanError, match="study 'study' has no target 'pi'; it has local"):
        recheck(store, "study", python, target="pi")
    monkeypatch.setattr(rechecking, "_is_kept", lambda file: False)
    with pytest.raises(StudyError, match="no network on the front of 'study' has its file"):
        recheck(store, "study", python)


def test_environments_are_named_by_runtime_and_version(tmp_path: Path) -> None:
    for wanted in ("torch==1.0", "onnxruntime", "onnxruntime==", "onnxruntime==1 --index-url x", "onnxruntime>=1"):
        with pytest.raises(PlanError, match=r"write a package and its version, as in onnxruntime==1\.24\.4"):
            environment_of(wanted, tmp_path)
    (tmp_path / "onnxruntime-1.0").mkdir()
    (tmp_path / "onnxruntime-1.0" / ".complete").touch()
    assert environment_of("onnxruntime==1.0", tmp_path) == tmp_path / "onnxruntime-1.0" / "bin" / "python"


def test_two_processes_make_an_environment_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running, made = threading.Event(), list[str]()

    def make(command: list[str], wanted: str) -> None:
        assert not running.is_set(), "both make it at once"
        running.set()
        time.sleep(0.05)
        made.append(command[2])
        (tmp_path / "onnxruntime-1.0").mkdir(exist_ok=True)
        running.clear()

    monkeypatch.setattr(environments, "_run", make)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: environment_of("onnxruntime==1.0", tmp_path), range(2)))
    assert found == [tmp_path / "onnxruntime-1.0" / "bin" / "python"] * 2
    assert made == ["venv", "pip"]


def test_an_interpreter_is_checked(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="there is no program"):
        checked_interpreter(tmp_path / "python")
    (tmp_path / "python").symlink_to(os.path.realpath(sys.executable))
    assert checked_interpreter(tmp_path / "python") == tmp_path / "python", "a link tells Python its environment"
