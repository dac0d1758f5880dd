"""Options that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

Storage = Annotated[
    str,
    typer.Option(
        "--storage", envvar="NAS_STORAGE", help="Database URL: sqlite:///nas.db, postgresql://user@host/name."
    ),
]
DEFAULT_STORAGE = "sqlite:///nas.db"
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of a table.")]
Name = Annotated[str, typer.Argument(help="Name of the study.")]
Address = Annotated[
    str | None, typer.Option("--address", help="Ray cluster to run on, host:port or auto; by default this machine.")
]
