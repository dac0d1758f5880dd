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

from nas.registry import load
from trials.executors.processes import adopt_orphans, end, end_below, forget

#: Modules that workers need (the compiler comes with the first optimizer); one that does not load is left to the job
#: that needs it, to fail with its reason.
PRELOADED = ("trials.jobs.candidate", "nas.estimators.training", "nas.tasks.transforms", "torch._dynamo")
#: Seconds between looks at whether the process that started the template is still there.
PARENT_CHECK_S = 2.0
#: How long a template may take to end its forks and itself.
CLOSE_S = 5.0
_MESSAGE_BYTES = 1 << 16


class TemplateGone(Exception):
    """The template was killed. Its forks live on, and how they end can't be known."""


class Template:
    """A template process, seen from a process that wants forks of it. Used by one thread."""

    def __init__(self, preload: Sequence[str] = PRELOADED) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process: subprocess.Popen[bytes] | None = subprocess.Popen(
                [sys.executable, "-P", "-m", "trials.executors.template", str(theirs.fileno()), *preload],
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
            TemplateGone: it was killed.
        """
        request = {
            "function": function,
            "arguments": list(arguments),
            "environment": dict(environment),
            "folder": _working_folder(),
        }
        return self._ask(request, files)

    def reap(self, pid: int) -> int | None:
        """Wait for the end of a fork and end what it left behind, which is the template's by then.

        Its exit code, negative for a signal, or None if the template was killed. Until then its number stays its own.
        """
        try:
            return self._ask({"reap": pid})
        except TemplateGone:
            return None

    def close(self) -> None:
        """End it, where this process started it, and its forks. Twice is harmless."""
        self._channel.close()
        if self._process is None:
            return
        try:
            self._process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _ask(self, request: Mapping[str, Any], files: Sequence[int] = ()) -> int:
        try:
            socket.send_fds(self._channel, [json.dumps(request).encode()], files)
            answer = self._channel.recv(_MESSAGE_BYTES)
        except OSError as error:
            raise TemplateGone(str(error)) from error
        if not answer:
            raise TemplateGone("it does not answer")
        return int(answer)

    @classmethod
    def _of_channel(cls, channel: socket.socket) -> Template:
        template = cls.__new__(cls)
        template._channel, template._process = channel, None
        return template


_inherited: Template | None = None


def _working_folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "/"


def main(descriptor: int, preload: Sequence[str]) -> None:
    """Import, then fork whenever somebody asks; end with the process that started this one, and all below with it."""
    adopt_orphans()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    first = socket.socket(fileno=descriptor)
    for module in preload:
        with suppress(Exception):
            importlib.import_module(module)
    #: Who asks → the numbers of its forks.
    forks: dict[socket.socket, set[int]] = {first: set()}
    while os.getppid() == parent:
        ready, _, _ = select.select(list(forks), [], [], PARENT_CHECK_S)
        for channel in ready:
            request, files, _, _ = socket.recv_fds(channel, _MESSAGE_BYTES, 3)
            if request:
                _serve(channel, forks, json.loads(request), files)
            elif channel is first:
                end_below(os.getpid())
                return
            else:
                _abandon(channel, forks)
    end_below(os.getpid())


def _serve(
    channel: socket.socket, forks: dict[socket.socket, set[int]], request: Mapping[str, Any], files: list[int]
) -> None:
    if "reap" in request:
        answer = _reap(request["reap"])
        forks[channel].discard(request["reap"])
        _end_orphans(forks)
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


def _abandon(channel: socket.socket, forks: dict[socket.socket, set[int]]) -> None:
    """Who asked is gone: its forks end, also those that are stuck and would not notice."""
    left = forks.pop(channel)
    channel.close()
    end(left)
    for pid in left:
        _reap(pid)
    _end_orphans(forks)


def _end_orphans(forks: Mapping[socket.socket, set[int]]) -> None:
    """End processes that jobs started and that outlived their worker: they became this process's children."""
    known = set().union(*forks.values())
    forget(end_below(os.getpid(), but=lambda pid: pid in known))


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
        with suppress(OSError):  # of a folder that is gone, the job tells
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
