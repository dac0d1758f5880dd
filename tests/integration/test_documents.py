"""The commands that the documents tell users to type run as written."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Smaller budgets: the test checks that the commands run, not what they find.
SHORTER = {
    "--trials 8": "--trials 1",
    "nas validate first.yaml": "nas validate first.yaml measure.precision=0.2 measure.max_drift=9 executor=local",
    "estimator.epochs=4": "estimator.epochs=1 measure.precision=0.2 measure.max_drift=9 budget.measurements=0 "
    "executor=local",
    "nas show first 2": "nas show first 0",
}


def type_in(script: str, folder: Path) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "NAS_STORAGE": f"sqlite:///{folder}/nas.db"}
    command = ["bash", "-euxo", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow  # the notebook is in every run
def test_the_tutorial(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "tutorial.md").read_text()
    blocks = "\n".join(re.findall(r"^```console\n(.*?)^```", text, re.M | re.S))
    lines = [line for line in re.findall(r"^\$ (.*)$", blocks, re.M) if not line.startswith("export PATH")]
    assert len(lines) >= 8
    script = "\n".join(lines)
    for long, short in SHORTER.items():
        assert long in script
        script = script.replace(long, short)
    printed = type_in(script, tmp_path)
    assert re.search(r"^right: +\d+ of 16 in golden", printed, re.M)
    assert {path.name for path in (tmp_path / "best").iterdir()} >= {"model.onnx", "run.py", "report.html"}
    assert (tmp_path / "report" / "report.html").stat().st_size > 100_000


#: The same for the script of `own-network.md`.
SHORTER_SCRIPT = {
    '"epochs": 5': '"epochs": 2',
    'budget={"trials": 4},': 'budget={"trials": 4, "measurements": 0}, measure={"max_drift": 9.0},',
}


@pytest.mark.slow
def test_a_network_of_ones_own_trained_and_searched_in_python(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "how-to" / "own-network.md").read_text()
    (script,) = [block for block in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S) if "measured_nas" in block]
    for long, short in SHORTER_SCRIPT.items():
        assert long in script
        script = script.replace(long, short)
    (tmp_path / "search.py").write_text(script + "print(type(module).__name__)\n")
    shutil.copy(ROOT / "examples" / "outside" / "my_network.py", tmp_path)
    printed = type_in("python search.py", tmp_path)
    assert "'network': 'original'" in printed
    assert printed.count("complete") == 4
    assert printed.endswith("SmallResNet\n")


@pytest.mark.slow  # a study of its own
def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    """The task, space, op, strategy and runtime of the user's own folder are used by a plan that names them."""
    plan = ROOT / "examples" / "outside" / "plan.yaml"
    shorter = "budget.trials=2 estimator.epochs=2 executor=local limits={} measure.precision=0.2 measure.max_drift=9"
    runtime = "targets.0.name=numpy targets.0.runtime=my_runtime:OnnxReference"
    type_in(f"nas search {plan} {shorter} {runtime}", tmp_path)
    shown = json.loads(type_in("nas show spirals --json", tmp_path))
    assert [row["state"] for row in shown] == ["complete"] * 2
    assert all(0 <= row["worst_class"] <= 1 and row["latency_ms"] > 0 for row in shown)
