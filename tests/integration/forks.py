"""Processes forked from one that has imported everything: real processes, without the seconds of importing."""

from __future__ import annotations

import atexit
import os
import select
import signal
import subprocess
import sys
import tempfile
from functools import cache
from typing import Any

from trials.executors.template import PRELOADED, Template

COORDINATING = ("trials.launch", "trials.cli.searching", "trials.cli.planning", "trials.cli.export")
TIMEOUT_S = 280


@cache
def _template() -> Template:
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
        """Wait for its end, or end it after a while; its exit code and what it printed."""
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
    """The command ``nas`` with these arguments."""
    done = nas_fork(*arguments).finish()
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


def nas_fork(*arguments: str) -> Fork:
    """The command, started."""
    return Fork("tests.integration.forks:type_in", list(arguments))


def type_in(arguments: list[str]) -> None:
    """What a fork does to be the command."""
    from trials.cli import main

    sys.argv = ["nas", *arguments]
    main()
