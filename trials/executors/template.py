"""The process that local workers are forked from: what all of them import is imported once, and its memory shared.

Importing torch and what stands on it takes seconds; a fork has it at once. The template runs no job, starts no thread
and opens nothing, so that nothing is half done when it forks.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from threadpoolctl import threadpool_limits

from nas.errors import JobError
from nas.registry import load

#: Modules that workers need (the compiler comes with the first optimizer); one that does not load is left to the job
#: that needs it, to fail with its reason.
PRELOADED = ("trials.jobs", "nas.estimators.training", "nas.tasks.transforms", "torch._dynamo")
#: Seconds between looks at whether the process that started the template is still there.
PARENT_CHECK_S = 2.0
_MESSAGE_BYTES = 1 << 16


class Template:
    """A template process, seen from a process that wants forks of it. Used by one thread."""

    def __init__(self, preload: Sequence[str] = PRELOADED) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process: subprocess.Popen[bytes] | None = subprocess.Popen(
                [sys.executable, "-m", "trials.executors.template", str(theirs.fileno()), *preload],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                process_group=0,  # Ctrl-C is for the coordinator
            )

    @classmethod
    def inherited(cls) -> Template | None:
        """The template this very process was forked from, if it was."""
        return _inherited

    def fork(
        self, function: str, arguments: Sequence[Any], *, environment: Mapping[str, str], files: tuple[int, int, int]
    ) -> int:
        """A new process that calls ``function`` (``"module:name"``); its number, which is its group's too.

        Args:
            function: what it calls; its exit code is that of SystemExit, or 1 after another exception.
            arguments: JSON values.
            environment: what is set beside the template's own; ``OMP_NUM_THREADS`` and ``TMPDIR`` are obeyed.
            files: descriptors that become its standard input, output and error.

        Raises:
            JobError: the template is gone.
        """
        request = {
            "function": function,
            "arguments": list(arguments),
            "environment": dict(environment),
            "folder": os.getcwd(),
        }
        return self._ask(request, files)

    def reap(self, pid: int) -> int:
        """Wait for the end of a fork; its exit code, negative for a signal. Until then its number stays its own."""
        return self._ask({"reap": pid})

    def close(self) -> None:
        """End it, where this process started it; forks end by themselves. Twice is harmless."""
        self._channel.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _ask(self, request: Mapping[str, Any], files: Sequence[int] = ()) -> int:
        try:
            socket.send_fds(self._channel, [json.dumps(request).encode()], files)
            answer = self._channel.recv(_MESSAGE_BYTES)
        except OSError as error:
            raise JobError(f"the process that workers are forked from does not answer: {error}") from error
        if not answer:
            raise JobError("the process that workers are forked from is gone; did the machine run out of memory?")
        return int(answer)

    @classmethod
    def _of_channel(cls, channel: socket.socket) -> Template:
        template = cls.__new__(cls)
        template._channel, template._process = channel, None
        return template


_inherited: Template | None = None


def main(descriptor: int, preload: Sequence[str]) -> None:
    """Import, then fork whenever somebody asks; end with the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    first = socket.socket(fileno=descriptor)
    for module in preload:
        with suppress(Exception):
            importlib.import_module(module)
    #: Who asks → the numbers of its forks; orphans are nobody's.
    forks: dict[socket.socket, set[int]] = {first: set()}
    orphans: set[int] = set()
    while os.getppid() == parent:
        ready, _, _ = select.select(list(forks), [], [], PARENT_CHECK_S)
        for channel in ready:
            request, files, _, _ = socket.recv_fds(channel, _MESSAGE_BYTES, 3)
            if request:
                _serve(channel, forks, json.loads(request), files)
            elif channel is first:
                return
            else:
                orphans |= forks.pop(channel)
                channel.close()
        orphans = {pid for pid in orphans if os.waitpid(pid, os.WNOHANG) == (0, 0)}


def _serve(
    channel: socket.socket, forks: dict[socket.socket, set[int]], request: Mapping[str, Any], files: list[int]
) -> None:
    if "reap" in request:
        answer = _reap(request["reap"])
        forks[channel].discard(request["reap"])
    else:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        answer = os.fork()
        if answer == 0:
            _become(request, files, theirs)
        os.setpgid(answer, answer)
        forks[channel].add(answer)
        forks[ours] = set()
        theirs.close()
        for file in files:
            os.close(file)
    with suppress(BrokenPipeError):
        channel.send(str(answer).encode())


def _reap(pid: int) -> int:
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _become(request: Mapping[str, Any], files: list[int], channel: socket.socket) -> NoReturn:
    """What a fork does: only its own files stay open, then it calls its function and ends."""
    global _inherited
    code = 1
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for standard, file in enumerate(files):
            os.dup2(file, standard)
        os.closerange(3, channel.fileno())
        os.closerange(channel.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
        _inherited = Template._of_channel(channel)
        os.chdir(request["folder"])
        os.environ.update(request["environment"])
        tempfile.tempdir = None  # TMPDIR is looked at again
        threadpool_limits(int(os.environ["OMP_NUM_THREADS"]))
        load(request["function"], "job")(*request["arguments"])
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        traceback.print_exc()
    with suppress(BaseException):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    # As the module that others import, so that a fork finds its template there.
    from trials.executors import template

    template.main(int(sys.argv[1]), sys.argv[2:])
