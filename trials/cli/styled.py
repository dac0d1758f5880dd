"""Rich's console for text that is shown as it is, never as markup, and text with a style."""

from __future__ import annotations

import os
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from nas.foreign import line, lines

#: A file or a pipe has no width to fold tables to.
_WIDTH = 240
_MIN_WIDTH = 20


class TextConsole(Console):
    """A console that shows strings as they are: no markup, no emoji names, no terminal escapes, no passwords."""

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
        """See ``Console.render_str``: every string that is printed or stands in a table comes through here."""
        return super().render_str(lines(text), **{**settings, "markup": False, "emoji": False, "highlight": False})


def titled(title: str, text: str) -> Text:
    """``text`` after a bold ``title``."""
    return Text.assemble((line(title), "bold"), lines(text))


def warning(text: str) -> Text:
    """A line of text in the colour of warnings."""
    return Text(line(text), style="yellow")


def _narrow_width() -> int | None:
    """A width for terminals that say they are too narrow to show anything; None: as wide as they are."""
    columns = os.environ.get("COLUMNS", "")
    return _MIN_WIDTH if columns.isdecimal() and int(columns) < _MIN_WIDTH else None
