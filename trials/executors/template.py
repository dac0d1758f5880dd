"""The template: a process that imports what all local workers need, and from which they are forked.

Importing torch and its dependents takes seconds, but a fork has them at once and shares their memory. The template runs
no job, starts no thread and opens no file, so that a fork never copies an operation in progress.
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

#: Modules that workers need; torch imports its compiler with the first optimizer. If a module can't be imported, the
#: job that needs it will fail with the reason.
PRELOADED = ("trials.jobs.candidate", "nas.estimators.training", "nas.tasks.transforms", "torch._dynamo")
#: Seconds between two checks whether the process that started the template is still alive.
PARENT_CHECK_S = 2.0
#: Seconds that a template may take to end its forks and itself.
CLOSE_S = 5.0
_MESSAGE_BYTES = 1 << 16


class TemplateGone(Exception):
    """The template was killed. Its forks keep running, but their exit codes can't be known."""


class Template:
    """The client of a template process, through which a process requests forks. Used by one thread."""

    def __init__(self, preload: Sequence[str] = PRELOADED) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process: subprocess.Popen[bytes] | None = subprocess.Popen(
                [sys.executable, "-P", "-m", "trials.executors.template", str(theirs.fileno()), *preload],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                process_group=0,  # so that Ctrl-C reaches only the coordinator
            )

    @classmethod
    def inherited(cls) -> Template | None:
        """Return the template that this process was forked from; None if it was not forked from one."""
        return _inherited

    def fork(
        self, function: str, arguments: Sequence[Any], *, environment: Mapping[str, str], files: tuple[int, int, int]
    ) -> int:
        """Fork a new process that calls a function; return its number, which is also the number of its group.

        Args:
            function: ``"module:name"`` of the function. The exit code of the process is the code of SystemExit, or 1
                after another exception.
            arguments: JSON values.
            environment: variables to set in addition to the template's; ``OMP_NUM_THREADS`` and ``TMPDIR`` take effect.
            files: descriptors that become the standard input, output and error of the process.

        Raises:
            TemplateGone: the template was killed.
        """
        request = {
            "function": function,
            "arguments": list(arguments),
            "environment": dict(environment),
            "folder": _working_folder(),
        }
        return self._ask(request, files)

    def reap(self, pid: int) -> int | None:
        """Wait for the end of a fork, and end the processes that it left behind, which the template has adopted.

        Until this call, the number of the fork is not reused.

        Returns:
            The exit code, negative for a signal; None if the template was killed.
        """
        try:
            return self._ask({"reap": pid})
        except TemplateGone:
            return None

    def close(self) -> None:
        """End the template and its forks if this process started it. May be called twice."""
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
            raise TemplateGone("the template does not answer")
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
    """Import modules, then fork on request; end, with all descendants, when the process that started this one ends."""
    adopt_orphans()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    first = socket.socket(fileno=descriptor)
    for module in preload:
        with suppress(Exception):
            importlib.import_module(module)
    #: Channel of a client → the numbers of its forks.
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
    """End the forks of a client that is gone, including stuck forks that would not notice it themselves."""
    left = forks.pop(channel)
    channel.close()
    end(left)
    for pid in left:
        _reap(pid)
    _end_orphans(forks)


def _end_orphans(forks: Mapping[socket.socket, set[int]]) -> None:
    """End processes that jobs started and that outlived their worker; they have become children of this process."""
    known = set().union(*forks.values())
    forget(end_below(os.getpid(), but=lambda pid: pid in known))


def _become(request: Mapping[str, Any], files: list[int], channel: socket.socket) -> NoReturn:
    """Run in a new fork: close all files but its own, call the function, and end."""
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
        with suppress(OSError):  # if the folder is gone, the job reports it
            os.chdir(request["folder"])
        os.environ.update(request["environment"])
        tempfile.tempdir = None  # makes tempfile read TMPDIR again
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
    # Runs the main function of the imported module, so that a fork finds its template there.
    from trials.executors import template

    template.main(int(sys.argv[1]), sys.argv[2:])
