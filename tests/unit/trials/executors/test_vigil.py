"""Temporary folders of killed workers are removed, even if the main thread of a worker ends before its others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trials.executors.cluster.vigil import clear

#: Makes a folder, ends its main thread, and ends 0.5 s later; a killed worker with many threads ends like this.
DYING = """
import ctypes, os, platform, threading, time
from nas.scratch import Scratch

def end():
    time.sleep(0.5)
    os._exit(0)

folder = Scratch("nas-test-")
threading.Thread(target=end).start()
print(folder.name, flush=True)
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[platform.machine()], 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_folder_of_a_worker_that_is_still_dying_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with subprocess.Popen([sys.executable, "-c", DYING], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        folder = Path(worker.stdout.readline().strip())
        assert folder.is_dir()
        clear([worker.pid])
        assert not folder.exists()
