"""Kernels of random layers, watched by sanitizers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from nas.kernels import build


def test_random_layers_are_right_and_read_nothing_beside_their_memory(tmp_path: Path) -> None:
    for tool in ("cmake", "make", "c++"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    source = Path(build.__file__).parent / "source"
    commands = [
        # The widest and one that runs anywhere: a third of the time that all take to compile.
        ["cmake", "-DFUZZ=ON", "-DINSTRUCTION_SETS=avx512;portable", "-S", source, "-B", tmp_path],
        ["make", "-C", tmp_path],
        [tmp_path / "fuzz", 200, 7],
    ]
    for command in commands:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("200 shapes of each kind and instruction set, worst error ")
