"""Standard output and error that work with every terminal, file and pipe, and print text literally."""

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
    """Standard output or error. Rich is imported only when the first line is printed."""

    def __init__(self, *, stderr: bool = False) -> None:
        self._stderr = stderr

    @cached_property
    def console(self) -> TextConsole:
        """The Rich console of this stream."""
        from trials.cli.styled import TextConsole

        return TextConsole(stderr=self._stderr)

    def print(self, *objects: Any, **settings: Any) -> None:
        """See ``rich.console.Console.print``."""
        self.console.print(*objects, **settings)


class LogFormatter(logging.Formatter):
    """Formats each log message in one line, and tracebacks in several."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the message of a record in one line."""
        return line(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """Return the message of a record with its traceback."""
        return lines(super().format(record))


def prepare_streams() -> None:
    """Make the streams replace characters that their encoding lacks; a closed stream discards its output."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  (open to the end)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def drop_output() -> None:
    """Discard output that is not written yet, so that Python does not try to write it again when it exits."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
