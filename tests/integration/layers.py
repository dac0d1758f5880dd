"""An environment with one layer of the installation: the wheel, and links to exactly the packages pip would install
with it.
"""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
import venv
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Files that the wheel is built from.
SOURCES = ("measured_nas", "nas", "search_spaces", "trials", "dashboard", "pyproject.toml", "README.md", "LICENSE")
_BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


@dataclass(frozen=True)
class Layer:
    """A virtual environment with one layer, and a folder outside the sources in which commands run."""

    environment: Path
    folder: Path

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the environment's interpreter."""
        return self._run("python", *arguments)

    def nas(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the installed command."""
        return self._run("nas", *arguments)

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        variables = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "NAS_"))}
        command = [str(self.environment / "bin" / program), *arguments]
        return subprocess.run(command, cwd=self.folder, env=variables, capture_output=True, text=True, timeout=250)


def build_wheel(folder: Path) -> Path:
    """The project's wheel, built from a copy of its sources by the backend that ``pyproject.toml`` names."""
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / name, source / name)
    subprocess.run([sys.executable, "-c", _BUILD, str(folder)], cwd=source, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def make_layer(wheel: Path, folder: Path, extras: Sequence[str] = ()) -> Layer:
    """An environment with the wheel and the packages of a layer. The packages are linked from this environment: nothing
    is downloaded.
    """
    environment = folder / "environment"
    venv.create(environment, symlinks=True)
    packages = next(environment.glob("lib/python*/site-packages"))
    layer = runpy.run_path(str(ROOT / "benchmarks" / "install_sizes.py"))["layer"]
    link(layer(extras).values(), packages)
    python = str(environment / "bin" / "python")
    install = ["install", "--no-deps", "--no-index", "--no-compile", "--quiet", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", python, *install], check=True)
    (folder / "elsewhere").mkdir()
    return Layer(environment, folder / "elsewhere")


def link(wanted: Collection[Distribution], packages: Path) -> None:
    """Link the files of distributions into a folder of packages; a folder is linked whole if no other distribution owns
    a file there.
    """
    names = {item.name for item in wanted}
    others = {str(file) for item in distributions() if item.name not in names for file in item.files or []}
    shared = {parent for file in others for parent in map(str, Path(file).parents)}
    for item in wanted:
        for file in item.files or []:
            parts = file.parts
            if parts[0] == "..":
                continue  # a script
            depth = next((n for n in range(1, len(parts)) if "/".join(parts[:n]) not in shared), len(parts))
            place = packages.joinpath(*parts[:depth])
            if not place.is_symlink():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(Path(str(item.locate_file("/".join(parts[:depth])))))
