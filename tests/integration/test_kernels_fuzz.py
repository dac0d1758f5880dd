"""Kernels on random layers, under address and undefined-behaviour sanitizers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from nas.kernels import build


@pytest.mark.parametrize("sets", ["portable", pytest.param("avx512;portable", marks=pytest.mark.slow)])
def test_random_layers_are_right_and_read_nothing_beside_their_memory(sets: str, tmp_path: Path) -> None:
    for tool in ("cmake", "make", "c++"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    source = Path(build.__file__).parent / "source"
    commands = [
        ["cmake", "-DFUZZ=ON", f"-DINSTRUCTION_SETS={sets}", "-S", source, "-B", tmp_path],
        ["make", "-C", tmp_path],
        [tmp_path / "fuzz", 200, 7],
    ]
    for command in commands:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("200 shapes of each kind and instruction set, worst error ")
