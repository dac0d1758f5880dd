"""Environments with another version of a runtime, in the user's cache."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nas.errors import MeasureError, PlanError
from nas.foreign import last_words

_WANTED = re.compile(r"(onnxruntime|openvino)==(\d[\w.]*)")
#: File in an environment that is complete.
_COMPLETE = ".complete"


def environment_of(wanted: str, cache: Path | None = None) -> Path:
    """Return the interpreter of an environment with ``onnxruntime==1.24.4``, which pip makes if it is new.

    Args:
        wanted: runtime and version.
        cache: folder of all environments; by default one in the user's cache.

    Raises:
        PlanError: it is no runtime with a version.
        MeasureError: pip can't install it.
    """
    found = _WANTED.fullmatch(wanted)
    if found is None:
        raise PlanError(f"--runtime {wanted!r}: write a package and its version, as in onnxruntime==1.24.4")
    folder = (cache or Path.home() / ".cache" / "measured-nas" / "runtimes") / "-".join(found.groups())
    python = folder / "bin" / "python"
    with _locked(folder):
        if (folder / _COMPLETE).exists():
            return python
        shutil.rmtree(folder, ignore_errors=True)
        try:
            _run([sys.executable, "-m", "venv", str(folder)], wanted)
            _run([str(python), "-m", "pip", "install", "--quiet", wanted, "numpy"], wanted)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        (folder / _COMPLETE).touch()
    return python


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait until no other process makes the environment; the lock is freed when its process ends in any way."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def checked_interpreter(path: Path) -> Path:
    """Return an interpreter's absolute path; PlanError if it can't be run.

    Links are kept, because a link tells Python its environment.
    """
    python = Path(os.path.abspath(path.expanduser()))
    if not os.access(python, os.X_OK) or python.is_dir():
        raise PlanError(f"--python {path}: there is no program; give the bin/python of an environment with the runtime")
    return python


def _run(command: list[str], wanted: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise MeasureError(f"{wanted} can't be installed: {last_words(done.stdout + done.stderr)}")
