"""A study on two targets of one machine: the same file in two runtimes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nas.latency.machine.affinity import available_cores
from tests.integration.forks import nas

#: Runs a script in which neither torch nor the other runtime can be imported.
ALONE = (
    "import runpy, sys; sys.modules.update(torch=None, onnxruntime=None); "
    "runpy.run_path(sys.argv.pop(1), run_name='__main__')"
)


@pytest.mark.slow
def test_search_for_the_latency_in_the_second_runtime(plan: Callable[..., Path], url: str, tmp_path: Path) -> None:
    path = plan(
        task={"name": "digits", "image_size": 8},
        policies=[{"name": "precision", "scope": "site"}],
        objectives={"accuracy": "maximize", "latency_ms@ov": "minimize"},
        targets=[{"name": "ov", "runtime": "openvino"}, {"name": "local"}],
        estimator={"name": "training", "epochs": 1},
        measure={"precision": 0.2, "audit": 0.0, "max_drift": 9.0},
        budget={"trials": 1},
    )
    nas("search", str(path), "--storage", url)
    (study,) = json.loads(nas("list", "--storage", url, "--json").stdout)
    assert set(study["best"]) == {"accuracy", "latency_ms@ov"}
    nas("profile", "study", "0", "--storage", url)
    candidate = json.loads(nas("show", "study", "0", "--storage", url, "--json").stdout)
    layers = {layer["name"] for layer in candidate["layers"]}
    (profile,) = candidate["profiles"]
    timed = {node["layer"] for node in profile["nodes"] if node["layer"]}
    assert {layer for layer in timed if layer.startswith("stage")} <= layers
    assert "stage1" in {layer.partition(".")[0] for layer in timed}
    folder = tmp_path / "out"
    nas("export", "study", "--best", "--out", str(folder), "--storage", url)
    report = json.loads((folder / "report.json").read_text())
    assert [item["runtime"] for item in report["runtimes"]][:2] == ["openvino", "onnxruntime"]
    assert report["scores"] == report["runtimes"][0]["scores"]
    (gap,) = report["gaps"]
    assert gap["gap"][0] == report["scores"]["validation"]["accuracy"] - report["scores"]["test"]["accuracy"]
    assert gap["gap"][1] < gap["gap"][0] < gap["gap"][2]
    assert [item["conditions"]["runtime"] for item in report["latency"]] == ["openvino", "onnxruntime"]
    assert "<td>openvino 20" in (folder / "report.html").read_text()
    ran = subprocess.run(
        [sys.executable, "-c", ALONE, str(folder / "run.py")], capture_output=True, text=True, check=True
    )
    assert "answers:" in ran.stdout


@pytest.mark.slow
def test_a_stored_target_with_a_thread_on_every_core(plan: Callable[..., Path], url: str) -> None:
    threads = len(available_cores())
    nas("targets", "add", "duo", "--threads", str(threads), "--storage", url)
    path = plan(
        task={"name": "digits", "image_size": 8},
        policies=[],
        targets=[{"name": "duo"}],
        estimator={"name": "training", "epochs": 1},
        budget={"trials": 2},
    )
    nas("search", str(path), "--storage", url)
    (study,) = json.loads(nas("list", "--storage", url, "--json").stdout)
    assert (study["state"], study["trials"]) == ("complete", {"complete": 2})
    candidate = json.loads(nas("show", "study", "0", "--storage", url, "--json").stdout)
    assert candidate["measurements"][-1]["conditions"]["threads"] == threads
