"""One file and one line add an op, a space, a task, a strategy or a runtime, and the contract suites test it.

The files are those of ``examples/outside``. The lines are the entry points of a package. A subprocess sees this package
as installed because its metadata are in a folder on the import path, which is all that an installation leaves.
"""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OUTSIDE = ROOT / "examples" / "outside"

#: Kind → (name, location, suite).
ADDED = {
    "ops": ("sine", "my_op:SineOp", "test_ops.py"),
    "spaces": ("point_net", "my_space:PointNet", "test_spaces.py"),
    "tasks": ("spirals", "my_task:Spirals", "test_tasks.py"),
    "strategies": ("aging_evolution", "my_strategy:AgingEvolution", "test_strategies.py"),
    "runtimes": ("onnx_reference", "my_runtime:OnnxReference", "test_runtimes.py"),
}


def install(site: Path) -> dict[str, str]:
    """Write the metadata of a package into ``site`` and return the environment in which the package is visible."""
    info = site / "outside-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    lines = [f"[measured_nas.{kind}]\n{name} = {location}\n" for kind, (name, location, _) in ADDED.items()]
    (info / "entry_points.txt").write_text("\n".join(lines))
    path = os.pathsep.join([str(site), str(OUTSIDE), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bool]:
    """Test id → passed, of the contract suites over the added names alone."""
    site = tmp_path_factory.mktemp("site")
    report = site / "report.xml"
    suites = [str(ROOT / "tests" / "contracts" / suite) for _, _, suite in ADDED.values()]
    chosen = ["-k", " or ".join(name for name, _, _ in ADDED.values()), f"--junitxml={report}"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *suites, *chosen]
    done = subprocess.run(command, cwd=ROOT, env=install(site), capture_output=True, text=True, timeout=280)
    # 0: all passed; 1: some failed. With any other exit code the suites did not run.
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return {
        f"{case.get('classname')}::{case.get('name')}": case.find("failure") is None
        and case.find("error") is None
        and case.find("skipped") is None
        for case in ET.parse(report).iter("testcase")
    }


@pytest.mark.parametrize("kind", ADDED)
def test_the_contract_suite_runs_over_an_added_name(kind: str, outcomes: dict[str, bool]) -> None:
    name, _, suite = ADDED[kind]
    cases = [test for test in outcomes if Path(suite).stem in test and name in test.partition("[")[2]]
    assert len(cases) >= 3, outcomes
    assert [test for test in cases if not outcomes[test]] == []


def test_names_are_listed_without_importing_what_they_stand_for(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from nas.latency.runtimes import RUNTIMES\nfrom nas.ops import OPS\n"
        "from nas.strategies import STRATEGIES\nfrom nas.tasks import TASKS\n"
        "from search_spaces import SPACES\n"
        "print(*(name for kind in (OPS, SPACES, TASKS, STRATEGIES, RUNTIMES) for name in kind.names()))\n"
        "assert not [module for module in sys.modules if module.startswith('my_')]"
    )
    environment = install(tmp_path / "site")
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    listed = done.stdout.split()
    assert all(listed.count(name) == 1 for name, _, _ in ADDED.values())
    assert {"conv2d", "plain_convnet", "digits", "random", "onnxruntime"} <= set(listed)
