"""Options that several verbs share, and how values are shown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from nas.foreign import hide_passwords, line
from trials.cli.console import out

Storage = Annotated[
    str,
    typer.Option(
        "--storage", envvar="NAS_STORAGE", help="Database URL: sqlite:///nas.db, postgresql://user@host/name."
    ),
]
DEFAULT_STORAGE = "sqlite:///nas.db"
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of a table.")]
Name = Annotated[str, typer.Argument(help="Name of the study.")]
#: Largest number of a trial, of rows, of a budget: what every database stores.
MOST = 2**31 - 1
TrialNumber = Annotated[int, typer.Argument(min=0, max=MOST, help="Number of a trial.")]
Address = Annotated[
    str | None,
    typer.Option("--address", help="Ray cluster to run on, host:port or auto; this machine by default."),
]


def print_rows(rows: Sequence[Mapping[str, Any]], as_json: bool, empty: str = "nothing to list") -> None:
    """A table with a column a key, or a JSON list."""
    from rich.table import Table

    if as_json:
        print_json(list(rows))
        return
    if not rows:
        out.print(empty)
        return
    table = Table(box=None, padding=(0, 2), header_style="bold")
    for key, value in rows[0].items():
        table.add_column(line(key), justify="right" if isinstance(value, int | float) else "left")
    for row in rows:
        table.add_row(*(line(shown(value)) for value in row.values()))
    out.print(table)


def print_json(value: Any) -> None:
    """One JSON value on standard output, unwrapped and uncoloured."""
    typer.echo(hide_passwords(json.dumps(value, default=str)))


def shown(value: Any) -> str:
    """A cell's text: four digits are enough for a person."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return " ".join(f"{key}={shown(item)}" for key, item in value.items())
    return str(value)
