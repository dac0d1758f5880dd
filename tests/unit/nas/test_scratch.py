"""Temporary folders of killed processes are removed at the next start; those of live processes stay."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nas.scratch import Scratch, sweep

HOLD = """
import time
from nas.scratch import Scratch
print(Scratch("nas-test-").name, flush=True)
time.sleep(60)
"""


def test_a_killed_owners_folder_is_swept_and_a_living_ones_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    foreign = tmp_path / "nas-foreign"
    foreign.mkdir()
    with subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        folder = Path(owner.stdout.readline().strip())
        with Scratch("nas-test-") as own:
            assert folder.is_dir()
            assert Path(own).is_dir()
        assert not Path(own).exists()
        owner.kill()
        owner.wait()
    assert sweep() == 1
    assert not folder.exists()
    assert foreign.is_dir()
