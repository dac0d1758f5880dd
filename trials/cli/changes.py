"""The progress of a study as lines, for logs and pipes, and as a table, for terminals."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nas.foreign import line

#: Seconds between two lines, and between two lines that tell only what the study does now.
LINE_EVERY_S, NOW_EVERY_S = 15.0, 60.0
#: Facts that change by themselves: a line tells them only beside one that says what has happened.
CLOCKS = ("rate", "left")


class ChangeLog:
    """Prints lines that say what has changed since the last line; it never prints the same line again.

    Args:
        console: where to print.
        clock: seconds since any moment.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._printed = -NOW_EVERY_S
        self._last = self._phase = ""
        self._told: Mapping[str, str] = {}

    def says(self, text: str, phase: str) -> None:
        """Print a text if its phase is new, or if it is new itself and the last line is old enough."""
        if phase != self._phase or self._waited(LINE_EVERY_S):
            self._print(text)
            self._phase = phase

    def tell(self, told: Mapping[str, str], *, over: bool) -> None:
        """Print the facts that have changed.

        Args:
            told: name → text of each fact; ``study`` is one of them. A new ``phase`` or ``state`` is told at once.
            over: whether the study has ended: all facts are printed.
        """
        known = self._told if told["study"] == self._told.get("study") else {}
        changed = {key: value for key, value in told.items() if known.get(key) != value and key not in CLOCKS}
        if not changed:
            return
        urgent = over or any(_kind(told, key) != _kind(known, key) for key in ("phase", "state"))
        if urgent or self._waited(NOW_EVERY_S if set(changed) == {"now"} else LINE_EVERY_S):
            clocks = {key: told[key] for key in CLOCKS if key in told and "trials" in changed}
            said = told if over else {"study": told["study"], **changed, **clocks}
            self._print(" · ".join(f"{key} {value}" for key, value in said.items()))
            self._told = told

    def _waited(self, seconds: float) -> bool:
        return self._clock() - self._printed > seconds

    def _print(self, text: str) -> None:
        if text != self._last:
            self._console.print(Text(line(text)), soft_wrap=True)
            self._printed, self._last = self._clock(), text


def facts_table(told: Mapping[str, str]) -> Table:
    """Return a table with one row per fact."""
    table = Table(show_header=False, box=None, padding=(0, 2))
    for key, value in told.items():
        table.add_row(Text(line(key), style="dim"), Text(line(value)))
    return table


def _kind(told: Mapping[str, str], key: str) -> str:
    """Return the first word of a fact: a phase without its numbers."""
    return told.get(key, "").partition(" ")[0]
