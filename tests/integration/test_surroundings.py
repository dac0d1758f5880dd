"""The command in unusual environments: no reader, no output, no home, a terminal that is too narrow, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

NAS = str(Path(sys.executable).parent / "nas")


def shell(command: str, folder: Path, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a line in bash; ``$NAS`` is the program."""
    given = {"PATH": os.environ["PATH"], "NAS": NAS, **(environment or {})}
    line = ["bash", "-o", "pipefail", "-c", command]
    return subprocess.run(line, cwd=folder, env=given, capture_output=True, text=True, timeout=200)


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("$NAS papers --json | true", 1, ""),
        ("$NAS papers >&-", 0, ""),
        ("$NAS status x 2>&-", 2, ""),
        ("$NAS papers >/dev/full", 2, "No space left on device"),
    ],
)
def test_outputs_that_end_early(command: str, code: int, message: str, tmp_path: Path) -> None:
    done = shell(command, tmp_path)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert message in done.stderr


@pytest.mark.parametrize(
    "environment",
    [
        {"HOME": "/nonexistent", "TMPDIR": "/nonexistent", "XDG_CACHE_HOME": "/proc/none", "LANG": "C"},
        {"COLUMNS": "0", "TERM": "dumb", "PYTHONIOENCODING": "ascii", "LC_ALL": "POSIX"},
        {"COLUMNS": "many", "TERM": "", "NO_COLOR": "1", "PYTHONUTF8": "0"},
    ],
    ids=["no home", "narrow", "odd"],
)
def test_surroundings_that_lack_what_is_usual(environment: Mapping[str, str], tmp_path: Path) -> None:
    done = shell("$NAS list && $NAS status ümlaut", tmp_path, environment)
    assert done.returncode == 2
    assert "no studies yet" in done.stdout
    assert "error: UnknownNameError: no study" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    done = shell("mkdir gone && cd gone && rmdir ../gone && $NAS list", tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("after_s", [0.2, 0.6, 1.5])
def test_control_c_ends_it_without_a_traceback(after_s: float, tmp_path: Path) -> None:
    plan = Path(__file__).parents[2] / "examples" / "digits.yaml"
    # A process that was started in the background, as this one may be, inherits that SIGINT is ignored.
    heard = ["env", "--default-signal=INT", NAS, "validate", str(plan)]
    process = subprocess.Popen(heard, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=200)
    assert process.returncode in (130, -signal.SIGINT)
    assert "trials/" not in said, "the traceback shows lines of this project"
