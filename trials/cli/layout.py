"""Tables that fit the terminal: numbers are never cut, and long texts are printed beneath their row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from nas.foreign import line

_INDENT = 4
#: The last column, if it is text, is wrapped in place if at least this width is left; else it is printed beneath.
_MIN_ROOM = 30


class TableLayout:
    """A table whose columns are printed side by side, except for those that do not fit.

    Columns that do not fit are printed beneath each row: first texts, widest first, then numbers from the right.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], width: int) -> None:
        self._width = width
        columns = dict.fromkeys(key for row in rows for key in row)  # a row may lack some
        rows = [{key: row.get(key) for key in columns} for row in rows]
        self._cells = [{key: line(shown(value)) for key, value in row.items()} for row in rows]
        self._numeric = {key for key in rows[0] if _is_numeric(row[key] for row in rows)}
        self._widths = {key: max(cell_len(key), *(cell_len(row[key]) for row in self._cells)) for key in rows[0]}
        self._beside = list(rows[0])
        while self._needed(self._beside) > width and len(self._beside) > 1:
            *others, last = self._beside
            room = width - self._needed(others) - 1
            if last not in self._numeric and room >= _MIN_ROOM:
                self._widths[last] = room
                break
            texts = [key for key in self._beside[1:] if key not in self._numeric]
            self._beside.remove(max(texts, key=self._widths.__getitem__) if texts else last)
        self._gap = " " if self._needed(self._beside, gap=2) > width else "  "

    def print(self, console: Console) -> None:
        """Print heads and rows."""
        heads = {key: line(key) for key in self._widths}
        if any(map(str.strip, heads.values())):
            console.print(Text("\n".join(self._side_by_side(heads, console)), style="bold"))
        lines = [part for row in self._cells for part in self._printed(row, console)]
        console.print("\n".join(lines))

    def _needed(self, columns: Sequence[str], gap: int = 1) -> int:
        return sum(self._widths[key] + gap for key in columns) - gap

    def _printed(self, row: Mapping[str, str], console: Console) -> Iterator[str]:
        yield from self._side_by_side(row, console)
        yield from self._beneath(row, console)

    def _side_by_side(self, row: Mapping[str, str], console: Console) -> Iterator[str]:
        *others, last = self._beside
        begin = "".join(self._padded(key, row[key]) + self._gap for key in others)
        end = self._padded(last, row[last]) if last in self._numeric else row[last]
        for place, part in enumerate(_wrapped(end, self._widths[last], console)):
            yield ((begin if not place else " " * cell_len(begin)) + part).rstrip()

    def _beneath(self, row: Mapping[str, str], console: Console) -> Iterator[str]:
        rest = [f"{line(key)}: {row[key]}" for key in row if key not in self._beside and row[key] not in ("", "–")]
        for part in _wrapped(" · ".join(rest), self._width - _INDENT, console) if rest else ():
            yield " " * _INDENT + part

    def _padded(self, key: str, text: str) -> str:
        blank = " " * (self._widths[key] - cell_len(text))
        return blank + text if key in self._numeric else set_cell_size(text, self._widths[key])


def shown(value: Any) -> str:
    """Return a cell's text; floating point numbers are rounded to four digits."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return " ".join(f"{key}={shown(item)}" for key, item in value.items())
    return str(value)


def _is_numeric(values: Iterator[Any]) -> bool:
    return isinstance(next((value for value in values if value is not None), ""), int | float)


def _wrapped(text: str, width: int, console: Console) -> list[str]:
    """Wrap a text into lines of at most ``width`` cells."""
    return [part.plain.rstrip() for part in Text(text).wrap(console, max(width, 1))]
