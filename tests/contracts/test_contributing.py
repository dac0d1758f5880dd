"""CONTRIBUTING.md is right: for each kind, one copied file and one line add a part that its contract suite tests."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(
    r"^\| (?P<kind>[\w` ]+) \| `(?P<source>[\w/]+\.py)`(?P<cut>, without its last line)? "
    r"\| `(?P<target>[\w/]+\.py)`[^|]* \| `(?P<base>\w+)`[^|]* "
    r"\| `(?P<table>[A-Z]+)` in `(?P<file>[\w/]+\.py)` \| `(?P<suite>\w+\.py)` \|$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Part:
    """One row of the table in CONTRIBUTING.md."""

    kind: str
    source: str
    cut: str | None
    target: str
    base: str
    table: str
    file: str
    suite: str

    @property
    def name(self) -> str:
        """The name of the copy."""
        return f"copied_{self.table.lower()}"

    @property
    def path(self) -> str:
        """The file of the copy. Two kinds may share a folder, so the name contains the kind."""
        return self.target.replace("/x.py", f"/{self.name}.py")

    def location(self, root: Path) -> str:
        """``module:attribute`` of the copied class, or of the copied instance."""
        tree = ast.parse((root / self.path).read_text())
        bases = {
            item.name: {ast.unparse(base) for base in item.bases}
            for item in tree.body
            if isinstance(item, ast.ClassDef)
        }
        classes = [name for name, found in bases.items() if found & {self.base, "Classification"}]
        objects = [
            ast.unparse(item.targets[0])
            for item in tree.body
            if isinstance(item, ast.Assign) and ast.unparse(item.value).partition("(")[0] in classes
        ]
        return f"{self.path.removesuffix('.py').replace('/', '.')}:{[*objects, *classes][0]}"

    def add(self, root: Path) -> None:
        """Follow the instructions of the row."""
        text = (root / self.source).read_text()
        (root / self.path).write_text(text.rstrip().rpartition("\n")[0] + "\n" if self.cut else text)
        table = (root / self.file).read_text()
        start = table.index("{", table.index(f"\n{self.table}: ")) + 1
        line = f'\n        "{self.name}": "{self.location(root)}",'
        (root / self.file).write_text(table[:start] + line + table[start:])


TEXT = (ROOT / "CONTRIBUTING.md").read_text()
PARTS = {found["kind"]: Part(**found.groupdict()) for found in ROW.finditer(TEXT)}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project that contains a copy of one part of each kind. Compiled modules are copied too and stay
    valid.
    """
    root = tmp_path_factory.mktemp("project")
    for name in ("nas", "search_spaces", "trials", "dashboard", "tests", "examples"):
        shutil.copytree(ROOT / name, root / name)
    shutil.copy(ROOT / "pyproject.toml", root)
    for part in PARTS.values():
        part.add(root)
    return root


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(project), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=1500)


def nas(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(project, "-c", "from trials.cli import main; main()", *arguments)


def outcomes(project: Path, suites: set[str], chosen: str) -> dict[str, bool]:
    """Test → whether it passed, from running suites of the copied project."""
    report = project / "report.xml"
    files = [f"tests/contracts/{suite}" for suite in sorted(suites)]
    done = run(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files, "-k", chosen, f"--junitxml={report}")
    assert done.returncode in (0, 1), done.stdout + done.stderr
    failures = ("failure", "error", "skipped")
    return {
        f"{case.get('classname')}::{case.get('name')}": all(case.find(kind) is None for kind in failures)
        for case in ET.parse(report).iter("testcase")
    }


def test_the_table_names_every_registry_and_files_that_are_there() -> None:
    named = set(re.findall(r"`([A-Z]+)` in `([\w/]+\.py)`", TEXT))
    files = [path for name in ("nas", "search_spaces", "trials") for path in (ROOT / name).rglob("*.py")]
    registries = {
        (name, path.relative_to(ROOT).as_posix())
        for path in files
        for name in re.findall(r"^([A-Z]+): Registry\[", path.read_text(), re.MULTILINE)
    }
    assert registries <= named
    for part in PARTS.values():
        assert (ROOT / part.source).is_file(), part.kind
        assert (ROOT / part.target).parent.is_dir(), part.kind
        assert (ROOT / "tests" / "contracts" / part.suite).is_file(), part.kind
        assert f"\n{part.table}: Registry[" in (ROOT / part.file).read_text(), part.kind


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_suite_of_each_kind_takes_up_and_passes_a_copied_file(project: Path) -> None:
    # A family is an example of its search space, whose name comes first in the test id.
    numbered = {"copied_families": "timm_family-0"}
    chosen = {part.name: numbered.get(part.name, part.name) for part in PARTS.values()}
    found = outcomes(project, {part.suite for part in PARTS.values()}, " or ".join(chosen.values()))
    for part in PARTS.values():
        cases = [test for test in found if Path(part.suite).stem in test and chosen[part.name] in test]
        assert len(cases) >= 2, part.kind
        assert [test for test in cases if not found[test]] == [], part.kind


PLAN = """
name: copied
task: {name: copied_tasks, image_size: 8}
space: {name: copied_spaces}
policies:
  - {name: copied_policies, options: [fp32, int8], calibration: copied_calibrations}
  - name: sparsity
    patterns: [copied_patterns]
    densities: [0.5]
    allocation: copied_allocations
    schedule: copied_schedules
strategy: {name: copied_strategies}
estimator: {name: copied_estimators, epochs: 1}
exporter: {name: copied_exporters}
executor: copied_executors
targets: [{name: here, runtime: copied_runtimes}]
budget: {trials: 2}
measure: {precision: 0.5, budget_s: 0.5, max_drift: 9}
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_study_is_made_of_copied_parts_alone(project: Path) -> None:
    (project / "plan.yaml").write_text(PLAN)
    done = nas(project, "search", "plan.yaml", "--storage", f"sqlite:///{project / 'nas.db'}")
    assert done.returncode == 0, done.stdout + done.stderr
    shown = nas(project, "show", "copied", "--json", "--storage", f"sqlite:///{project / 'nas.db'}")
    assert [row["state"] for row in json.loads(shown.stdout)] == ["complete"] * 2


COMMAND = '''"""``nas hello``."""

from trials.cli.console import app, out


@app.command(epilog="Example: nas hello")
def hello() -> None:
    """Say hello."""
    out.print("hello")
'''


@pytest.mark.slow
def test_a_command_is_one_file(project: Path) -> None:
    (project / "trials" / "cli" / "commands" / "hello.py").write_text(COMMAND)
    assert nas(project, "hello").stdout == "hello\n"
