"""Standard output and error as every terminal, file and pipe takes them; what is printed is text, never markup."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nas.foreign import line, lines

if TYPE_CHECKING:
    from trials.cli.styled import TextConsole


class Terminal:
    """Standard output or error. Rich, which draws, is imported when the first line is printed."""

    def __init__(self, *, stderr: bool = False) -> None:
        self._stderr = stderr

    @cached_property
    def console(self) -> TextConsole:
        """Rich's console of this stream."""
        from trials.cli.styled import TextConsole

        return TextConsole(stderr=self._stderr)

    def print(self, *objects: Any, **settings: Any) -> None:
        """See ``rich.console.Console.print``."""
        self.console.print(*objects, **settings)


class LogFormatter(logging.Formatter):
    """Records of the log, each message in one line, tracebacks in several."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The record's own line."""
        return line(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """The record with its traceback."""
        return lines(super().format(record))


def prepare_streams() -> None:
    """Replace characters that a stream's encoding lacks; what is closed swallows what is written."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  (open to the end)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def drop_output() -> None:
    """Let what standard output did not take go nowhere, so that it is not tried again when the program ends."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
