"""Other distributions' packages with the names of this project's are detected before anything is imported."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import measured_nas
from measured_nas.packages import PACKAGES, check_packages

HOME = Path(measured_nas.__file__).parents[1]
COMMAND = "from measured_nas.command import main; main()"
THEIRS = 'raise RuntimeError("the other package was imported")\n'


def run(code: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    """Run Python with ``--help`` as its argument; ``paths`` come first on its import path."""
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    command = [sys.executable, "-P", "-c", code, "--help"]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)


def package(folder: Path, name: str) -> None:
    """A package of another project."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(THEIRS)


def distribution(folder: Path, name: str, packages: str) -> None:
    """The metadata that pip leaves for a distribution."""
    information = folder / f"{name}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "top_level.txt").write_text(f"{packages}\n")


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The project as installed in an environment of its own, whose packages a test may change."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    for name in PACKAGES:
        (folder / name).mkdir()
        shutil.copyfile(HOME / name / "__init__.py", folder / name / "__init__.py")
    shutil.copytree(HOME / "measured_nas", folder / "measured_nas", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_packages_beside_each_other_are_fine() -> None:
    check_packages()
    assert "Usage" in run(COMMAND).stdout


@pytest.mark.parametrize("name", PACKAGES)
def test_another_package_that_is_found_first_is_named(name: str, tmp_path: Path) -> None:
    package(tmp_path, name)
    distribution(tmp_path, "somebody-s", name)
    for code, status in ((COMMAND, 2), ("import measured_nas; measured_nas.search", 1)):
        done = run(code, tmp_path)
        assert done.returncode == status
        assert f"another package '{name}' ({tmp_path / name / '__init__.py'})" in done.stderr
        assert str(HOME / name) in done.stderr
        assert "pip uninstall somebody-s, or install measured-nas in an environment of its own" in done.stderr
        assert "was imported" not in done.stderr


def test_a_file_of_the_user_is_to_be_renamed(tmp_path: Path) -> None:
    (tmp_path / "trials.py").write_text(THEIRS)
    done = run(COMMAND, tmp_path)
    assert done.returncode == 2
    assert f"{tmp_path / 'trials.py'}" in done.stderr
    assert "rename it" in done.stderr


def test_a_package_that_was_installed_over_ours_is_named(installed: Path) -> None:
    (installed / "dashboard" / "__init__.py").write_text(THEIRS)
    distribution(installed, "their-dashboard", "dashboard")
    done = run(COMMAND, installed)
    assert done.returncode == 2
    assert f"has overwritten its own, {installed / 'dashboard' / '__init__.py'}" in done.stderr
    assert "pip uninstall their-dashboard, then pip install --force-reinstall --no-deps measured-nas" in done.stderr


def test_a_package_that_went_with_another_distribution_is_named(installed: Path) -> None:
    (installed / "nas" / "__init__.py").unlink()
    done = run(COMMAND, installed)
    assert done.returncode == 2
    assert f"{installed / 'nas' / '__init__.py'} is missing" in done.stderr
    assert "pip install --force-reinstall" in done.stderr
