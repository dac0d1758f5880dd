"""A Rich console that prints text literally, never as markup, and functions for styled text."""

from __future__ import annotations

import os
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from nas.foreign import line, lines

#: Width for files and pipes, which have none of their own.
_WIDTH = 240
_MIN_WIDTH = 20


class TextConsole(Console):
    """A console that prints strings without markup, emoji names, terminal escapes or passwords."""

    def __init__(self, *, stderr: bool = False) -> None:
        stream = sys.stderr if stderr else sys.stdout
        is_terminal = stream is not None and stream.isatty()
        super().__init__(
            stderr=stderr,
            width=_narrow_width() if is_terminal else _WIDTH,
            markup=False,
            emoji=False,
            highlight=False,
        )

    def render_str(self, text: str, **settings: Any) -> Text:
        """See ``Console.render_str``, which Rich calls for every printed string and every string in a table."""
        return super().render_str(lines(text), **{**settings, "markup": False, "emoji": False, "highlight": False})


def titled(title: str, text: str) -> Text:
    """Return ``text`` after a bold ``title``."""
    return Text.assemble((line(title), "bold"), lines(text))


def warning(text: str) -> Text:
    """Return a line of text in the colour of warnings."""
    return Text(line(text), style="yellow")


def _narrow_width() -> int | None:
    """Return a minimum width for terminals that are too narrow for any table; None: use the terminal's width."""
    columns = os.environ.get("COLUMNS", "")
    return _MIN_WIDTH if columns.isdecimal() and int(columns) < _MIN_WIDTH else None
