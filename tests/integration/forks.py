"""Processes forked from one that has imported everything: they are real processes that start without importing."""

from __future__ import annotations

import atexit
import io
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from trials.executors.template import PRELOADED, Template

COORDINATING = (
    "trials.launch.studies",
    "trials.cli.commands.searching",
    "trials.cli.commands.planning",
    "trials.cli.commands.init",
    "trials.cli.commands.export",
)
TIMEOUT_S = 280
#: The folder that holds the package ``tests``.
ROOT = Path(__file__).parents[2]


@cache
def _template() -> Template:
    """A process to fork from that can import this module, wherever the tests are started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        template = Template([*PRELOADED, *COORDINATING])
    atexit.register(template.close)
    return template


class Fork:
    """A process of its own that calls ``function`` (``"module:name"``)."""

    def __init__(self, function: str, *arguments: Any) -> None:
        self._said = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed in finish)
        self._call = [function, *arguments]
        with open(os.devnull) as nothing:
            files = (nothing.fileno(), *(file.fileno() for file in self._said))
            environment = {"OMP_NUM_THREADS": "1"}
            self.pid = _template().fork(function, arguments, environment=environment, files=files)  # type: ignore[arg-type]

    def finish(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end, or stop it after a timeout; returns its exit code and its output."""
        end, ended = os.pidfd_open(self.pid), select.poll()
        ended.register(end, select.POLLIN)
        if not ended.poll(TIMEOUT_S * 1000):
            os.killpg(self.pid, signal.SIGKILL)
        os.close(end)
        code, printed = _template().reap(self.pid), []
        for file in self._said:
            with file:
                file.seek(0)
                printed.append(file.read())
        return subprocess.CompletedProcess(self._call, code, *printed)


def nas(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the command ``nas`` with these arguments."""
    done = nas_fork(*arguments).finish()
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


def nas_fork(*arguments: str) -> Fork:
    """Start the command ``nas`` without waiting for it."""
    return Fork("tests.integration.forks:type_in", list(arguments))


def type_in(arguments: list[str]) -> None:
    """Runs in the fork, which becomes the command."""
    from trials.cli import main

    sys.argv = ["nas", *arguments]
    main()


def nas_many(*commands: Sequence[str]) -> list[subprocess.CompletedProcess[str]]:
    """Run several ``nas`` commands one after the other in one process; tracebacks go to standard error."""
    done = Fork("tests.integration.forks:type_in_many", [list(command) for command in commands]).finish()
    assert done.returncode == 0, done.stdout + done.stderr
    return [subprocess.CompletedProcess(*item) for item in json.loads(done.stdout)]


def type_in_many(commands: Sequence[Sequence[str]]) -> None:
    """Runs in the fork, which becomes one command after the other."""
    found = []
    for command in commands:
        said, complained = io.StringIO(), io.StringIO()
        with redirect_stdout(said), redirect_stderr(complained):
            code = _code_of(command)
        found.append((list(command), code, said.getvalue(), complained.getvalue()))
    print(json.dumps(found))


def _code_of(command: Sequence[str]) -> int:
    from trials.cli import main

    sys.argv = ["nas", *command]
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0
