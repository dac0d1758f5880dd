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
#: Makes files in a folder as fast as possible, as long as it exists.
WRITE = """
import sys
for number in range(30_000):
    try:
        open(f"{sys.argv[1]}/{number}", "w").close()
    except FileNotFoundError:
        break
    if number == 1000:
        print("writing", flush=True)
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


def test_a_folder_is_swept_although_a_process_of_the_killed_owner_still_writes_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        folder = owner.stdout.readline().strip()
        owner.kill()
    with subprocess.Popen([sys.executable, "-c", WRITE, folder], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        sweep()
    assert list(tmp_path.iterdir()) == []
