"""Standard output and error as every terminal, file and pipe takes them; what is printed is text, never markup."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from nas.foreign import line, lines

#: A file or a pipe has no width to fold tables to.
_WIDTH = 240
_LEAST_WIDTH = 20


class Terminal(Console):
    """A console that shows strings as they are: no markup, no emoji names, no terminal escapes, no passwords."""

    def __init__(self, *, stderr: bool = False) -> None:
        stream = sys.stderr if stderr else sys.stdout
        is_terminal = stream is not None and stream.isatty()
        super().__init__(
            stderr=stderr,
            width=_told_width() if is_terminal else _WIDTH,
            markup=False,
            emoji=False,
            highlight=False,
        )

    def render_str(self, text: str, **settings: Any) -> Text:
        """See ``Console.render_str``: every string that is printed or stands in a table comes through here."""
        return super().render_str(lines(text), **{**settings, "markup": False, "emoji": False, "highlight": False})


def _told_width() -> int | None:
    """A width for terminals that say they are too narrow to show anything; None: as wide as they are."""
    told = os.environ.get("COLUMNS", "")
    return _LEAST_WIDTH if told.isdecimal() and int(told) < _LEAST_WIDTH else None


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


def end_quietly() -> None:
    """End a program whose reader has gone, as ``head`` does: the rest of the output goes nowhere."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)


def titled(title: str, text: str) -> Text:
    """``text`` after a bold ``title``."""
    return Text.assemble((line(title), "bold"), lines(text))


def warning(text: str) -> Text:
    """A line of text in the colour of warnings."""
    return Text(line(text), style="yellow")
